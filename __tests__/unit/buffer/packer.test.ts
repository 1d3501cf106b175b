import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PackError } from '../../../src/buffer/pack-buffer.ts';
import { Packer } from '../../../src/buffer/packer.ts';
import type { ColumnWriter } from '../../../src/lib/column-writer.ts';
import {
  bigint,
  boolean,
  type Columns,
  type Document,
  date,
  instant,
  int,
  json,
  oneOf,
  text,
  uuid,
} from '../../../src/lib/entity.ts';
import { documentOf } from '../../support/arbitraries.ts';

const columns: Columns = {
  id: uuid,
  title: text,
  body: text,
  size: int,
  amount: bigint,
  is_open: boolean,
  on_day: date,
  at: instant,
  data: json,
  kind: oneOf('a', 'b', 'c'),
};
const packer = new Packer(columns);
const roundTrip = (document: Document): Document => {
  const { fixed, texts } = packer.pack(document);
  const bytes = Buffer.concat([fixed, texts]);
  return packer.unpack(bytes, (offset) => bytes.subarray(offset));
};

/** Takes what is poured, as JavaScript values. */
class Collector implements ColumnWriter {
  readonly values: unknown[] = [];
  null = () => void this.values.push(null);
  uuid = (source: Buffer, at: number) => void this.values.push(source.toString('hex', at, at + 16));
  integer = (value: number) => void this.values.push(value);
  boolean = (value: boolean) => void this.values.push(value);
  date = (days: number) => void this.values.push(new Date(days * 86_400_000).toISOString().slice(0, 10));
  instant = (ms: number) => void this.values.push(new Date(ms).toISOString());
  text = (source: Buffer, at: number, length: number) =>
    void this.values.push(source.toString('utf8', at, at + length));
  value = (value: unknown) => void this.values.push(value);
}

describe('packer', () => {
  it('knows the bytes of a document as JSON', () => {
    const documents = fc.oneof(
      documentOf(columns),
      fc.record({
        title: fc.string({ unit: 'binary' }),
        body: fc.constantFrom('a "b"', 'c\\d', 'é\t', '\u{1f600}', '\u007f'),
      }),
    );
    fc.assert(
      fc.property(documents, (document) => {
        const expected = Buffer.byteLength(JSON.stringify(document));
        expect(packer.pack(document).jsonBytes).toBe(Object.keys(document).length === 0 ? 1 : expected);
      }),
      { numRuns: 500 },
    );
  });

  it('gives back every document: unicode, nulls, absent columns, dates from 1900 to 9999, all safe integers', () => {
    fc.assert(
      fc.property(documentOf(columns), (document) => void expect(roundTrip(document)).toEqual(document)),
      { numRuns: 500 },
    );
  });

  it('pours the same values that it unpacks; what is absent becomes null', () => {
    fc.assert(
      fc.property(documentOf(columns), (document) => {
        const { fixed, texts } = packer.pack(document);
        const bytes = Buffer.concat([fixed, texts]);
        const writers = new Map(packer.names.map((name) => [name, new Collector()]));
        packer.pour(bytes, (offset) => bytes.subarray(offset), writers);
        packer.names.forEach((name) => {
          const value = document[name] ?? null;
          const expected =
            value === null
              ? null
              : name === 'id'
                ? String(value).replaceAll('-', '')
                : name === 'data'
                  ? JSON.stringify(value)
                  : value;
          expect(writers.get(name)!.values, name).toEqual([expected]);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('picks one value without the others, except texts', () => {
    fc.assert(
      fc.property(documentOf(columns), fc.constantFrom(...packer.names), (document, name) => {
        const { fixed } = packer.pack(document);
        const isText = ['title', 'body', 'data'].includes(name);
        expect(packer.pick(fixed, name)).toEqual(isText ? undefined : (document[name] ?? undefined));
      }),
    );
  });

  it.each([
    ['id', 'not-a-uuid'],
    ['id', 7],
    ['title', 7],
    ['size', 1.5],
    ['amount', 2 ** 53],
    ['on_day', '2031-02-30'],
    ['on_day', '1899-12-31'],
    ['at', 'noon'],
    ['at', '+010000-01-01T00:00:00.000Z'],
    ['kind', 'd'],
  ])('refuses %s = %j and names the column', (name, value) => {
    expect(() => packer.pack({ [name]: value })).toThrow(PackError);
    expect(() => packer.pack({ [name]: value })).toThrow(new RegExp(`^${name}: `));
  });

  it('says that a payload is cut short instead of inventing values', () => {
    const whole = { id: 'b7c7a3f0-0000-4000-8000-000000000001', title: 'Algebra', amount: 5, on_day: '2031-05-05' };
    const { fixed, texts } = packer.pack(whole);
    const bytes = Buffer.concat([fixed, texts]);
    for (let length = 3; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(() => packer.unpack(cut, (offset) => cut.subarray(offset)), `${length} bytes`).toThrow();
    }
  });
});
