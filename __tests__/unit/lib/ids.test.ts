import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { idSequence, namedId, newId } from '../../../src/lib/ids.ts';

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const msOf = (id: string): number => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);

describe('newId', () => {
  it('makes UUIDv7 of the present time, each higher than the one before', () => {
    const ids = Array.from({ length: 50_000 }, newId);
    expect(ids.every((id) => V7.test(id))).toBe(true);
    expect(ids.every((id, index) => index === 0 || id > ids[index - 1]!)).toBe(true);
    expect(Math.abs(msOf(ids[0]!) - Date.now())).toBeLessThan(10_000);
  });

  it('goes on rising when the clock is set back', () => {
    const before = newId();
    const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
    try {
      const [first, second] = [newId(), newId()];
      expect(first > before && second > first).toBe(true);
    } finally {
      now.mockRestore();
    }
  });
});

describe('namedId', () => {
  it('is the same for the same parts in every process', () => {
    expect(namedId('sheet', 'c1', '2025-09-10', 0)).toBe(namedId('sheet', 'c1', '2025-09-10', 0));
    expect(namedId('sheet', 'c1', '2025-09-10', 0)).not.toBe(namedId('sheet', 'c1', '2025-09-10', 1));
    // A changed namespace would give every stored sheet another id.
    expect(namedId('school')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5/);
    expect(namedId('sheet', 'a', 'b')).toBe(namedId('sheet:a:b'));
  });
});

describe('idSequence', () => {
  it('gives the same ids in the same order for the same request, rising, in the shape of new ids', () => {
    const atMs = Date.parse('2025-09-10T03:00:00Z');
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (seed) => {
        const take = () => Array.from({ length: 20 }, idSequence(seed, atMs));
        const ids = take();
        expect(take()).toEqual(ids);
        expect(ids.every((id) => V7.test(id) && msOf(id) === atMs)).toBe(true);
        expect([...ids].sort()).toEqual(ids);
      }),
    );
  });

  it('gives others to another request or time', () => {
    const ids = ['a', 'b', 'ab', 'a:0', 'a:1'].flatMap((seed) =>
      [1, 2].flatMap((atMs) => Array.from({ length: 50 }, idSequence(seed, atMs))),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});
