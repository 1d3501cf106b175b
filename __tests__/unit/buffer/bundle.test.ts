import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BundleWriter, readBundle } from '../../../src/buffer/bundle.ts';
import { batchesOf, bundleKey } from '../../../src/buffer/keys.ts';
import { Packer } from '../../../src/buffer/packer.ts';
import { defineEntity, type EntityDefinition } from '../../../src/lib/entity.ts';
import { documentOf } from '../../support/arbitraries.ts';
import { clubEntity, scanEntity } from '../../support/test-entities.ts';

const packer = new Packer(clubEntity.columns);
const none = (texts: Buffer): Buffer => texts;

describe('bundle', () => {
  it('gives back every document, and knows their size as JSON', () => {
    fc.assert(
      fc.property(fc.array(documentOf(clubEntity.columns), { minLength: 1, maxLength: 40 }), (documents) => {
        const writer = new BundleWriter(packer);
        for (let round = 0; round < 2; round++) {
          for (const document of documents) writer.add(document);
          expect(writer.count).toBe(documents.length);
          const { fixed, texts, rawBytes } = writer.take();
          expect(readBundle(Buffer.concat([fixed, texts]), packer, none)).toEqual(documents);
          const json = documents.map((document) => JSON.stringify(document));
          // An empty one has no comma to take off.
          expect(rawBytes).toBe(Buffer.byteLength(json.join('')) - json.filter((text) => text === '{}').length);
        }
      }),
    );
  });

  it('keeps what it holds when a document cannot join', () => {
    const writer = new BundleWriter(packer);
    writer.add({ name: 'first', size: 1 });
    expect(() => writer.add({ name: 'second', size: 1, kind: 'golf' })).toThrow('kind: not one of');
    writer.add({ name: 'third' });
    const { fixed, texts } = writer.take();
    expect(readBundle(Buffer.concat([fixed, texts]), packer, none)).toEqual([
      { name: 'first', size: 1 },
      { name: 'third' },
    ]);
  });

  it('says so when bytes are missing or too many', () => {
    const writer = new BundleWriter(packer);
    writer.add({ name: 'Chess', size: 4 });
    writer.add({ name: 'Choir', size: 40 });
    const { fixed, texts } = writer.take();
    const payload = Buffer.concat([fixed, texts]);
    for (let length = 0; length < payload.length; length++)
      expect(() => readBundle(payload.subarray(0, length), packer, none), `${length} bytes`).toThrow();
    expect(() => readBundle(Buffer.concat([payload, Buffer.of(1)]), packer, none)).toThrow('nobody owns');
  });

  it('is not for entities whose documents need more than their own row', () => {
    const change = (changes: Partial<EntityDefinition>) => () => defineEntity({ ...scanEntity, ...changes });
    expect(change({ relations: ['person_id'] })).toThrow('no parents, relations or unique values');
    expect(change({ uniques: ['note'] })).toThrow('no parents, relations or unique values');
    expect(change({ parents: [{ entity: 'club', key: () => null }] })).toThrow('no parents');
    expect(change({ lane: 'urgent' })).toThrow('can wait');
    expect(change({ durability: 'committed' })).toThrow('can wait');
    expect(change({ key: ['note'] })).toThrow('does not begin with a text');
    expect(change({ bundled: false, relations: ['person_id'] })).not.toThrow();
  });

  it('counts documents where batches are cut', () => {
    const id = '0192f0c1-0000-7000-8000-000000000001';
    const keys = [bundleKey(id, 60), bundleKey(id, 30), bundleKey(id, 20), id, bundleKey(id, 100), id];
    expect([...batchesOf(scanEntity, keys, 100)].map((batch) => batch.length)).toEqual([2, 2, 1, 1]);
    expect([...batchesOf(scanEntity, [], 100)]).toEqual([]);
    expect(
      [
        ...batchesOf(
          clubEntity,
          Array.from({ length: 250 }, () => id),
          100,
        ),
      ].map((batch) => batch.length),
    ).toEqual([100, 100, 50]);
  });
});
