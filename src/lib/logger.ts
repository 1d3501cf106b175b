import { createLogger as createWinston, format, type Logform, transports } from 'winston';
import type { Log } from './log.ts';
import type { ErrorReports } from './sentry.ts';

/** A logger whose children add fields to every line. */
export interface Logger extends Log {
  child(fields: object): Logger;
}

export interface LoggerOptions {
  level: 'error' | 'warn' | 'info' | 'debug';
  /** What this process is, for example `web` or `worker`. */
  role: string;
  /** Where lines go; standard output unless told. */
  stream?: NodeJS.WritableStream;
  /** Told of every line of level error. */
  reports?: ErrorReports | undefined;
}

/** Names of fields whose values no log may hold, wherever they lie. */
const PRIVATE = /passw|secret|token|authorization|cookie|phone|email|api[-_]?key/i;
const REDACTED = '[redacted]';
/** Deeper than any field of ours; stops runaway structures. */
const DEEPEST = 6;
const LONGEST_TEXT = 4_000;

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** An error as a log shows it: never the fields that drivers add, since those hold values of rows. */
function describeError(error: Error, depth: number): object {
  const { code, status } = error as Error & { code?: unknown; status?: unknown };
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof status === 'number' ? { status } : {}),
    message: error.message.slice(0, LONGEST_TEXT),
    stack: error.stack?.slice(0, LONGEST_TEXT),
    ...(error.cause === undefined ? {} : { cause: clean(error.cause, depth + 1) }),
  };
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value;
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEEPEST) return '[deep]';
  if (value instanceof Error) return describeError(value, depth);
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (!isPlain(value)) return value instanceof Date ? value.toISOString() : String(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, PRIVATE.test(key) ? REDACTED : clean(item, depth + 1)]),
  );
}

/** Level and message come first; JSON's own escapes keep a line one line, whatever a caller put into it. */
const line = (reports: ErrorReports | undefined) =>
  format((info) => {
    const { level, message, timestamp, ...fields } = info;
    const cleaned = clean(fields, 0) as object;
    if (level === 'error') reports?.report(String(message), fields.error, cleaned);
    // Winston's transports print what stands under this symbol.
    (info as Logform.TransformableInfo & { [key: symbol]: unknown })[Symbol.for('message')] = JSON.stringify({
      time: timestamp,
      level,
      message: String(message),
      ...cleaned,
    });
    return info;
  })();

/** JSON lines of one process. Fields named like a secret or a person's contact are redacted, at any depth. */
export function createLogger({ level, role, stream, reports }: LoggerOptions): Logger {
  return createWinston({
    level,
    defaultMeta: { role, pid: process.pid },
    format: format.combine(format.timestamp(), line(reports)),
    transports: [stream ? new transports.Stream({ stream }) : new transports.Console()],
  });
}
