/**
 * What a database error means for the writes of a batch:
 * `unavailable` the server cannot take any write now (down, starting, schema behind): keep everything, try later;
 * `transient`   this attempt lost a race (deadlock, serialization, lock or statement timeout): retry the batch;
 * `permanent`   some row of the batch is refused for good: find it and set it aside.
 */
export type DriverErrorKind = 'unavailable' | 'transient' | 'permanent';

/** Node and pg-pool errors that mean "no connection". */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
const CONNECTION_MESSAGES =
  /connection terminated|timeout acquiring a connection|timeout expired|client has encountered|not connected|server closed the connection|unable to acquire a connection|not currently accepting connections/i;

/** PostgreSQL, appendix A: classes and codes. */
const POSTGRES_PERMANENT_CLASSES = new Set(['21', '22', '23', '44', 'P0']);
const POSTGRES_TRANSIENT = new Set(['40001', '40P01', '40003', '55P03', '57014', '25P02']);

/** MongoDB error codes that say something about the document itself. */
const MONGO_PERMANENT = new Set([2, 9, 11000, 11001, 121, 10334, 17280, 22, 52, 54, 56, 57]);
const MONGO_TRANSIENT = new Set([112, 251, 24, 50]);

interface DriverError {
  code?: string | number;
  message?: string;
  name?: string;
  errorLabels?: string[];
}

/** The server could not be asked at all: its answer is unknown, and another source may stand in. */
export function isDatabaseAway(error: unknown): boolean {
  const { code, message = '', name = '' } = (error ?? {}) as DriverError;
  const state = typeof code === 'string' ? code : '';
  return (
    CONNECTION_CODES.has(state) ||
    CONNECTION_MESSAGES.test(message) ||
    /^(08|53|57P)/.test(state) ||
    /^Mongo(Network|ServerSelection)/.test(name)
  );
}

export function classifyPostgresError(error: unknown): DriverErrorKind {
  const { code, message = '' } = error as DriverError;
  const state = typeof code === 'string' ? code : '';
  if (CONNECTION_CODES.has(state) || CONNECTION_MESSAGES.test(message)) return 'unavailable';
  if (POSTGRES_TRANSIENT.has(state)) return 'transient';
  // 54000: a row or value too large for its place. 22P05, 22021 and the like are in class 22.
  if (POSTGRES_PERMANENT_CLASSES.has(state.slice(0, 2)) || state.startsWith('54')) return 'permanent';
  // 08 connection, 53 resources, 57P shutdown, 42 schema behind, 25006 read-only, XX internal, no code: keep and wait.
  return 'unavailable';
}

export function classifyMongoError(error: unknown): DriverErrorKind {
  const { code, name = '' } = error as DriverError;
  if (typeof code === 'number' && MONGO_PERMANENT.has(code)) return 'permanent';
  if (typeof code === 'number' && MONGO_TRANSIENT.has(code)) return 'transient';
  if (/BSON|TypeError|RangeError/.test(name)) return 'permanent';
  return 'unavailable';
}

/** The database's own words about a refused row, fit to show to an admin: no values of other rows, no statement. */
export interface RefusalReason {
  /** SQLSTATE, MongoDB code or a rule's code. */
  code: string;
  message: string;
  constraint?: string;
  column?: string;
}

export function reasonOf(error: unknown): RefusalReason {
  const { code, message, constraint, column } = error as DriverError & { constraint?: string; column?: string };
  return {
    code: String(code ?? 'UNKNOWN'),
    // knex puts the whole statement before the database's message.
    message: (message ?? String(error)).split(' - ').at(-1)!.slice(0, 500),
    ...(constraint ? { constraint } : {}),
    ...(column ? { column } : {}),
  };
}
