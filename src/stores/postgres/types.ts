import pg from 'pg';

const { types } = pg;

/** A bigint of the database that JavaScript's numbers cannot hold exactly. */
export class UnsafeIntegerError extends Error {
  override name = 'UnsafeIntegerError';
}

/** `bigint` as number; refuses what a double would round. */
export function parseBigint(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new UnsafeIntegerError(`bigint ${value} is not a safe integer`);
  return number;
}

const UTC_INSTANT = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,3}))?\d*\+00$/;

/**
 * `timestamptz` as ISO 8601 with milliseconds and `Z`, the form that JSON documents carry, so a row and a buffered document
 * compare as texts. Columns are `timestamptz(3)`: nothing is cut off.
 */
export function parseInstant(value: string): string {
  const match = UTC_INSTANT.exec(value);
  if (!match) return Number.isNaN(Date.parse(value)) ? value : new Date(value).toISOString();
  return `${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(3, '0')}Z`;
}

const asText = (value: string): string => value;

/** The cast: pg's declarations leave the oids of arrays out. */
const parserOf = types.getTypeParser as (oid: number, format: 'text') => (value: string) => unknown;
const parseTextArray = parserOf(1009, 'text') as (value: string) => (string | null)[];

const arrayOf =
  (parse: (value: string) => unknown) =>
  (value: string): unknown[] =>
    parseTextArray(value).map((item) => (item === null ? null : parse(item)));

/** Parsers by type oid (`SELECT oid, typname FROM pg_type`; these never change). */
const PARSERS: ReadonlyMap<number, (value: string) => unknown> = new Map<number, (value: string) => unknown>([
  [20, parseBigint],
  [1016, arrayOf(parseBigint)],
  [1082, asText], // date
  [1182, arrayOf(asText)],
  [1114, asText], // timestamp without time zone: a school's wall clock
  [1115, arrayOf(asText)],
  [1184, parseInstant],
  [1185, arrayOf(parseInstant)],
]);

/**
 * Parsers for one connection pool, for pg's `types` setting: the global ones stay as they are for other users of the driver.
 */
export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : PARSERS.get(oid)) ??
    types.getTypeParser(oid, format)) as pg.CustomTypesConfig['getTypeParser'],
};
