import fc from 'fast-check';
import type { Column, Columns, Document } from '../../src/lib/entity.ts';

/** Texts as PostgreSQL takes them: any characters but NUL, no halves of surrogate pairs. */
export const anyText = (maxLength = 60): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'binary', maxLength })
    .map((text) => text.replaceAll('\0', ''))
    .filter((text) => text.isWellFormed());

const isoDate = fc
  .date({ min: new Date('1900-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
  .map((date) => date.toISOString());

/** JSON as jsonb gives it back: no -0, no NUL, numbers that a double holds. */
export const anyJson: fc.Arbitrary<unknown> = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll('\\u0000', '').replaceAll('-0,', '0,')))
  .filter(
    (value) => value !== null && JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value)),
  );

/** Values of a column, without null. */
export function valuesOf(column: Column): fc.Arbitrary<unknown> {
  switch (column.type) {
    case 'uuid':
      return fc.uuid();
    case 'text':
      return anyText();
    case 'int':
      return fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 63, 64, 127, 128, 2 ** 31 - 1, -(2 ** 31 - 1)));
    case 'bigint':
      return fc.oneof(
        fc.maxSafeInteger(),
        fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 52, -(2 ** 52), -(2 ** 52) - 1),
      );
    case 'boolean':
      return fc.boolean();
    case 'date':
      return fc
        .oneof(isoDate, fc.constantFrom('1900-01-01T', '1969-12-31T', '1970-01-01T', '2000-02-29T', '9999-12-31T'))
        .map((text) => text.slice(0, 10));
    case 'timestamp':
      return fc
        .oneof(isoDate, fc.constantFrom('1900-01-01T00:00', '1969-12-31T23:59', '9999-12-31T23:59'))
        .map((text) => text.slice(0, 16).replace(/[-:]/g, ''));
    case 'timestamptz':
      return fc.oneof(
        isoDate,
        fc.constantFrom('1900-01-01T00:00:00.000Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'),
      );
    case 'jsonb':
      return anyJson;
    case 'enum':
      return fc.constantFrom(...column.values);
  }
}

/** Documents of some columns; each value may be null or absent. */
export const documentOf = (columns: Columns): fc.Arbitrary<Document> =>
  fc.record(
    Object.fromEntries(
      Object.entries(columns).map(([name, column]) => [name, fc.option(valuesOf(column), { nil: null, freq: 5 })]),
    ),
    { requiredKeys: [] },
  );
