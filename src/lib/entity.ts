import type Joi from 'joi';
import type { ScopeRule } from './condition.ts';
import type { EventName } from './events.ts';

/** How one value is stored: drives the packed payload, the batch statement's casts and list comparisons. */
export type Column =
  | { type: 'uuid' | 'text' | 'int' | 'bigint' | 'boolean' | 'date' | 'timestamp' | 'timestamptz' | 'jsonb' }
  | { type: 'enum'; values: readonly string[] };

export type Columns = Readonly<Record<string, Column>>;

/** A document as the API, the buffer and the rows share it: instants are ISO 8601 with `Z`, dates `YYYY-MM-DD`. */
export type Document = Record<string, unknown>;

export const uuid: Column = { type: 'uuid' };
export const text: Column = { type: 'text' };
export const int: Column = { type: 'int' };
export const bigint: Column = { type: 'bigint' };
export const boolean: Column = { type: 'boolean' };
export const date: Column = { type: 'date' };
export const instant: Column = { type: 'timestamptz' };
/** A wall clock's minute, `YYYYMMDDTHHMM`: without colons, so that it can be a part of a key. */
export const wallMinute: Column = { type: 'timestamp' };
export const json: Column = { type: 'jsonb' };
export const oneOf = (...values: string[]): Column => ({ type: 'enum', values });

/** When a buffered write reaches its database at the latest: 2 s, 1 min, or the sync interval (DOMAIN §8, W7). */
export type Lane = 'urgent' | 'fast' | 'bulk';

/** The age, ms, that an acknowledged write of a lane reaches at most before it is stored. */
export const promiseMs = (lane: Lane, intervalMs: number): number =>
  ({ urgent: 2_000, fast: 60_000, bulk: intervalMs })[lane];

/** Another entity's row that must be stored first (I6). */
export interface ParentLink {
  entity: string;
  /** Key of the parent, or null when this document has none. */
  key(document: Document): string | null;
}

/**
 * Why the database's present state refuses an acknowledged write (DOMAIN §8, column Conflict). The condition is checked
 * inside the batch's statement; writes for which it holds become failed writes.
 */
export interface RefusalRule {
  code: string;
  message: string;
  /** SQL over `incoming` (the write's columns) and `stored` (the present row by the conflict columns; all null when there is none). */
  when: string;
}

/**
 * An event that rows make when a batch stores them (‡ of DOMAIN §6), a row of `outbox_events` in the batch's statement. It is
 * told of what the batch has changed: a stale, repeated or refused write tells nothing. Its aggregate is the document's key.
 */
export interface StoredEvent {
  name: EventName;
  /** Names in the payload, and the columns they come from: of the row as it is written, or of the sheet's head. */
  payload: Readonly<Record<string, string>>;
  /**
   * Documents: SQL over `written` and `stored` (the row before; all null when there was none). Unless told, every row that is
   * written makes the event.
   */
  when?: string;
  /**
   * Sheets: the event is one a sheet and batch, and lists under `changed` the fields whose `column` is another than before:
   * `{ [key]: the field's key, old, new }`, with `old` null for a new field. A sheet without such a field makes none.
   */
  changed?: { key: string; column: string };
}

export interface PostgresSink {
  kind: 'postgres';
  table: string;
  /** Columns of the conflict target: those of the key, in its order. */
  conflict: readonly string[];
  /** Column of the version guard: a batch never replaces a row of the same or a higher version (I3). */
  version: string;
  /** Where deletes are recorded; a tombstone keeps its row so that a late older batch cannot bring it back (I3). */
  softDelete?: string;
  refuse?: readonly RefusalRule[];
  /**
   * Documents only: writes for which it holds have lost their meaning meanwhile. They are left out with a line in the log,
   * and count as stored. `when` sees `incoming` alone.
   */
  drop?: RefusalRule;
  events?: readonly StoredEvent[];
  /** Sheets: the table that takes the fields, keyed by the head's id and the field's own key. */
  fields?: {
    table: string;
    conflict: readonly string[];
    version: string;
    /** Column of the fields' table that holds the head's `id`. */
    headId: string;
    /** Columns that fields take over from their head. */
    copy: Columns;
  };
  /**
   * Documents with a jsonb column of ids that are rows of a table of their own. A list replaces the stored one; null leaves it
   * as it is.
   */
  links?: {
    column: string;
    table: string;
    /** Columns of that table: the document's `id`, and the id in the list. */
    ownerId: string;
    memberId: string;
    /** Column that takes the place in the list, from 1. */
    position?: string;
    /** Column of document and link: links with another value of it are history, they stay and are not read. */
    since?: string;
  };
  /**
   * Sheets whose fields are columns of one existing row: `{ name, value }` fields become an update of those columns;
   * names under `json` are merged into that jsonb column.
   */
  patch?: {
    columns: Columns;
    json: { column: string; names: readonly string[] };
    only: string;
    /** Row that has some of the columns as well, found by its own column: a value follows there, none takes nothing away. */
    also?: { table: string; key: string; columns: readonly string[] };
  };
}

export interface MongoSink {
  kind: 'mongo';
  collection: string;
  /**
   * What becomes of a document that is there: `replace` (unless told) takes its place; `first` leaves it as it is; `earliest`
   * changes a document of another entity, each instant to the earlier of the two, and makes none.
   */
  merge?: 'replace' | 'first' | 'earliest';
}

export type Sink = PostgresSink | MongoSink;

export interface EntityDefinition {
  /** Singular, snake_case; also the job name of its batches. */
  name: string;
  service: string;
  /** `document` is replaced whole; `sheet` is a head and fields that merge one by one, each with its own version. */
  kind: 'document' | 'sheet';
  /** Columns of the document, or of a sheet's head. */
  columns: Columns;
  /** Document fields that form the key; the first decides the shard, so parent and children share it. */
  key: readonly string[];
  /** Columns that follow from the others, such as an id made of the key: never stored in the buffer. */
  derived?: Readonly<Record<string, (document: Document) => unknown>>;
  /** A sheet's fields: their key column and their columns. */
  fields?: { key: string; columns: Columns };
  /** What the database would accept (DESIGN §3.9): the last check before a write is acknowledged. */
  schema: Joi.ObjectSchema;
  /** Same for one field of a sheet. */
  fieldSchema?: Joi.ObjectSchema;
  lane: Lane;
  durability: 'buffered' | 'committed';
  sink: Sink;
  parents?: readonly ParentLink[];
  /** Pending writes can be listed by these columns without a scan (I4); they never change in a document's life. */
  relations?: readonly string[];
  /** Who reaches a document: whoever reaches it by one of these. Without them it is read with EVERYTHING only. */
  scope?: readonly ScopeRule[];
  /**
   * Documents are appended and never changed, and stand alone: those that one commit takes share a payload, at a fraction of
   * the cost of one each. They become rows of their own, and each is refused by itself.
   */
  bundled?: boolean;
  /** Values that one document alone may hold; reserved in Redis until the row is stored (DESIGN §3.10). */
  uniques?: readonly string[];
  /** Rises when `columns` change their meaning; payloads of older shapes are lifted by `upcast`. */
  shape: number;
  /** `upcast[n]` turns a document of shape n into shape n + 1. */
  upcast?: Readonly<Record<number, (document: Document) => Document>>;
  /** Typical documents; the compression dictionary is made of their texts. */
  examples: readonly Document[];
  /** Seconds a stored document stays readable from Redis after its sync; 0 keeps none. */
  warmSeconds?: number;
}

export class InvalidEntityError extends Error {
  override name = 'InvalidEntityError';
}

/** Checks a description at start, so that a mistake in it stops the process and not a write at noon. */
export function defineEntity(definition: EntityDefinition): EntityDefinition {
  const { name, columns, key, fields, shape, upcast } = definition;
  const fail = (why: string): never => {
    throw new InvalidEntityError(`entity ${name}: ${why}`);
  };
  if (!/^[a-z][a-z0-9_]*$/.test(name)) fail('name must be snake_case');
  if (key.length === 0) fail('key names no column');
  const scoped = (definition.scope ?? []).map(({ column }) => column);
  for (const column of [...key, ...(definition.relations ?? []), ...(definition.uniques ?? []), ...scoped]) {
    if (!columns[column]) fail(`column ${column} is not declared`);
  }
  for (const column of definition.relations ?? []) {
    // The index of a relation holds the key's last part; the first is known only where the relation is that part.
    if (definition.kind === 'document' && key.length > 1 && column !== key[0])
      fail(`relation ${column} is not the first part of the key`);
  }
  const { sink } = definition;
  if (sink.kind === 'postgres') {
    if (columns[sink.version]) fail(`column ${sink.version} is the buffer's own and must not be declared`);
    if (sink.conflict.length !== key.length) fail('the conflict columns are not those of the key');
    // Reads leave deleted rows out by it, and a batch must write it for rows that come back.
    if (sink.softDelete && columns[sink.softDelete]?.type !== 'timestamptz')
      fail(`column ${sink.softDelete} is not declared as an instant`);
    for (const event of sink.events ?? []) {
      const fault = faultOf(event, definition, sink);
      if (fault) fail(`event ${event.name}: ${fault}`);
    }
  }
  if (definition.bundled) {
    if (definition.kind !== 'document') fail('only documents are bundled');
    const { parents, relations, uniques } = definition;
    if (parents ?? relations ?? uniques) fail('a bundled document has no parents, relations or unique values');
    if (definition.lane === 'urgent' || definition.durability === 'committed') fail('bundled documents can wait');
    // Keys of bundles begin with a character that no such value has, see src/buffer/keys.ts.
    if (columns[key[0]!]!.type === 'text') fail('the key of a bundled document does not begin with a text');
  }
  if (definition.kind === 'sheet' && definition.uniques) fail('a sheet has no unique values');
  if (definition.kind === 'sheet' && !fields) fail('a sheet declares its fields');
  if (fields && !fields.columns[fields.key]) fail(`field column ${fields.key} is not declared`);
  for (let from = 1; from < shape; from++) {
    if (!upcast?.[from]) fail(`shape ${shape} has no upcast from shape ${from}`);
  }
  return Object.freeze(definition);
}

function faultOf(
  { payload, when, changed }: StoredEvent,
  { columns, fields }: EntityDefinition,
  { patch, links }: PostgresSink,
): string | undefined {
  if (patch) return 'fields that are columns of another row make none';
  const unknown = Object.values(payload).find((column) => !columns[column] || column === links?.column);
  if (unknown !== undefined) return `${unknown} is not a column of its table`;
  if (!fields) return changed && 'only sheets have changed fields';
  if (when) return 'that of a sheet has no condition';
  if (!changed) return 'that of a sheet names its changed fields';
  return fields.columns[changed.column] ? undefined : `field column ${changed.column} is not declared`;
}

/** The key of a document as people and job data write it: its parts joined with `:`. */
export const keyOf = (entity: EntityDefinition, document: Document): string =>
  entity.key.map((column) => String(document[column])).join(':');

const KEY_PARTS: Partial<Record<Column['type'], RegExp>> = {
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  date: /^\d{4}-\d{2}-\d{2}$/,
  timestamp: /^\d{8}T\d{4}$/,
  int: /^\d{1,10}$/,
};

/** Whether a text from outside has the form of the entity's keys. */
export function isKeyOf(entity: EntityDefinition, key: string): boolean {
  const parts = key.split(':');
  return (
    parts.length === entity.key.length &&
    entity.key.every((column, index) => KEY_PARTS[entity.columns[column]!.type]?.test(parts[index]!) ?? true)
  );
}

/** The parts of a key as a document, for look-ups in its table. */
export function keyParts(entity: EntityDefinition, key: string): Document {
  if (entity.key.length === 1) return { [entity.key[0]!]: key };
  const parts = key.split(':');
  return Object.fromEntries(entity.key.map((column, index) => [column, parts[index]]));
}
