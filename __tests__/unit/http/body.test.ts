import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../../../src/http/body.ts';

const errorOf = (text: string): { detail: string } => {
  try {
    parseJson(Buffer.from(text));
  } catch (error) {
    return error as { detail: string };
  }
  throw new Error(`parsed: ${text}`);
};
const positionOf = (text: string): number => Number(/at position (\d+)/.exec(errorOf(text).detail)![1]);

describe('parseJson', () => {
  it('parses what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('finds a character that cannot stand where it stands, anywhere in any document', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, seed) => {
        const text = JSON.stringify({ value });
        // A control character is wrong everywhere, inside texts as well.
        const at = seed % text.length;
        expect(positionOf(`${text.slice(0, at)}\u0001${text.slice(at)}`)).toBe(at);
      }),
    );
  });

  it('finds the end of a document that is cut off', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), (value, seed) => {
        const text = JSON.stringify({ value });
        const cut = text.slice(0, seed % text.length);
        // Half of a surrogate pair cannot be sent as UTF-8.
        fc.pre(cut.isWellFormed());
        expect(positionOf(cut)).toBe(cut.length);
        expect(errorOf(cut).detail).toContain('ends too early');
      }),
    );
  });

  it('counts lines and columns from one', () => {
    expect(errorOf('{\n  "a": 1,\n  "b": x\n}').detail).toContain('(line 3, column 8)');
  });

  it('says nothing of what it read', () => {
    expect(errorOf('{"password":"hunter2" oops}').detail).not.toMatch(/hunter2|oops|password/);
  });
});
