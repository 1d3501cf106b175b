import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { HEADER_BYTES } from '../../../src/buffer/header.ts';
import { PackError } from '../../../src/buffer/pack-buffer.ts';
import type { PendingWrite } from '../../../src/buffer/write-buffer.ts';
import type { Document } from '../../../src/lib/entity.ts';
import { EVERYTHING } from '../../../src/lib/reach.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildScan } from '../../support/test-entities.ts';

describe('bundles', () => {
  const h = useHarness();
  const putAll = (scans: readonly Document[]) => Promise.all(scans.map((scan) => h.put('scan', scan)));
  const build = (count: number): Document[] => Array.from({ length: count }, () => buildScan());
  const dirtyKeys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const keys of h.buffer.dirtyKeys('scan', 0)) found.push(...keys);
    return found;
  };
  const flushAll = async () => h.flush('scan', await dirtyKeys());
  const statsOf = async () => (await h.buffer.stats()).find(({ entity }) => entity === 'scan')!;
  const storedOf = async (scans: readonly Document[]) =>
    h.rows('SELECT id, minutes, note, version FROM scans WHERE id = ANY(?)', [scans.map(({ id }) => id)]);

  it('documents of one commit share an entry and its version, are read one by one and become rows', async () => {
    const scans = build(20);
    const receipts = await putAll(scans);
    const { version } = receipts[0]!;
    expect(receipts.map(({ key }) => key)).toEqual(scans.map(({ id }) => id));
    expect(new Set(receipts.map((receipt) => receipt.version))).toEqual(new Set([version]));
    expect(await dirtyKeys()).toHaveLength(1);
    const raw = scans.reduce((sum, scan) => sum + Buffer.byteLength(JSON.stringify(scan)), 0);
    expect(await statsOf()).toMatchObject({ entries: 20, rawBytes: raw });
    expect(await h.reader.get('scan', String(scans[7]!.id), EVERYTHING)).toMatchObject({
      document: scans[7],
      isPending: true,
    });
    expect((await h.buffer.pendingAll('scan')).map(({ document }) => document)).toEqual(scans);

    expect(await flushAll()).toMatchObject({ taken: 20, stored: 20, superseded: 0, failed: 0, left: 0, statements: 1 });
    expect((await storedOf(scans)).map((row) => Number(row.version))).toEqual(scans.map(() => version));
    expect(await statsOf()).toMatchObject({ entries: 0, rawBytes: 0, storedBytes: 0 });
    expect(await h.reader.get('scan', String(scans[7]!.id), EVERYTHING)).toMatchObject({
      document: scans[7],
      isPending: false,
    });
  });

  it('a hundred at most share one, and large ones are compressed aside', async () => {
    const scans = build(250);
    const large = buildScan({ note: randomBytes(20_000).toString('base64') });
    await putAll([...scans, large]);
    expect((await dirtyKeys()).length).toBeGreaterThanOrEqual(3);
    expect(await statsOf()).toMatchObject({ entries: 251 });
    expect(await h.reader.get('scan', String(large.id), EVERYTHING)).toMatchObject({ document: large });
    expect(await flushAll()).toMatchObject({ taken: 251, stored: 251 });
    expect(await storedOf([...scans, large])).toHaveLength(251);
  });

  it('one that cannot be packed is refused before it joins the others', async () => {
    const scans = build(3);
    const [first, bad, last] = await Promise.allSettled([
      h.put('scan', scans[0]!),
      h.put('scan', { ...scans[1]!, gate: 'west' }),
      h.put('scan', scans[2]!),
    ]);
    expect(bad).toMatchObject({ status: 'rejected', reason: expect.any(PackError) });
    expect([first!.status, last!.status]).toEqual(['fulfilled', 'fulfilled']);
    await expect(h.put('scan', { ...scans[1]!, gate: 'west' })).rejects.toBeInstanceOf(PackError);
    expect(await flushAll()).toMatchObject({ taken: 2, stored: 2 });
    expect(await h.audit()).toEqual([]);
  });

  it('I5 one that the database refuses fails alone, and is repaired and replayed', async () => {
    const bad = buildScan({ minutes: -1 });
    const good = build(30);
    const receipts = await putAll([...good, bad]);
    const { writeStates, failedWrites, batchWriter } = h.engine;
    expect(await writeStates.of(receipts[30]!)).toMatchObject({ state: 'buffered' });
    expect(await flushAll()).toMatchObject({ taken: 31, stored: 30, failed: 1, left: 0 });
    expect(await storedOf([...good, bad])).toHaveLength(30);
    const record = (await failedWrites.get(`scan~${bad.id}`))!;
    expect(record).toMatchObject({ code: '23514', state: 'failed' });
    expect(await writeStates.of(receipts[30]!)).toMatchObject({ state: 'failed' });
    expect(await writeStates.of(receipts[0]!)).toMatchObject({ state: 'stored' });
    expect(await h.reader.get('scan', String(bad.id), EVERYTHING)).toMatchObject({ document: bad, isPending: true });
    expect(await statsOf()).toMatchObject({ entries: 1, failed: 1 });
    expect(await dirtyKeys()).toEqual([]);
    expect(await h.audit()).toEqual([]);
    await failedWrites.repair(record, { ...bad, minutes: 4 });
    await batchWriter.write('scan', [String(bad.id)], { replayJobId: 'by-hand' });
    expect(await storedOf([bad])).toMatchObject([{ minutes: 4 }]);
    expect(await writeStates.of(receipts[30]!)).toMatchObject({ state: 'stored' });
    expect(await statsOf()).toMatchObject({ entries: 0, failed: 0 });
  });

  it('I8 a request that was sent twice has one row, in one bundle or in two', async () => {
    const [twice, apart] = build(2) as [Document, Document];
    await putAll([twice, twice, apart]);
    await h.put('scan', apart);
    expect((await h.buffer.pendingAll('scan')).length).toBe(4);
    expect(await flushAll()).toMatchObject({ taken: 4, stored: 2, superseded: 2, failed: 0, left: 0 });
    await h.put('scan', twice);
    expect(await flushAll()).toMatchObject({ taken: 1, stored: 1 });
    expect(await storedOf([twice, apart])).toHaveLength(2);
  });

  it('a refused one that was sent twice fails once', async () => {
    const bad = buildScan({ minutes: -1 });
    await putAll([bad, buildScan()]);
    await putAll([bad, buildScan()]);
    expect(await flushAll()).toMatchObject({ taken: 4, stored: 2, superseded: 1, failed: 1, left: 0 });
    expect(await statsOf()).toMatchObject({ entries: 1, failed: 1 });
    await putAll([bad]);
    expect(await flushAll()).toMatchObject({ stored: 0, failed: 1, left: 0 });
    expect(await statsOf()).toMatchObject({ entries: 1, failed: 1 });
    await h.engine.failedWrites.discard((await h.engine.failedWrites.list('scan'))[0]!, 'admin001', 'bad', Date.now());
    expect(await h.audit()).toEqual([]);
  });

  it('I1 a process that dies between taking one out and clearing the bundle loses and doubles nothing', async () => {
    const bad = buildScan({ minutes: -1 });
    const good = build(5);
    await putAll([...good, bad]);
    const { buffer } = h;
    const acknowledge = buffer.acknowledge.bind(buffer);
    buffer.acknowledge = async () => {
      buffer.acknowledge = acknowledge;
      throw new Error('killed');
    };
    await expect(flushAll()).rejects.toThrow('killed');
    expect(await h.audit()).toEqual([]);
    expect(await storedOf(good)).toHaveLength(5);
    const result = await flushAll();
    expect(result.stored + result.superseded + result.failed + result.left).toBe(result.taken);
    expect(result.failed).toBe(1);
    expect(await h.engine.failedWrites.list('scan')).toMatchObject([{ key: bad.id }]);
    expect(await dirtyKeys()).toEqual([]);
    await h.engine.failedWrites.discard((await h.engine.failedWrites.list('scan'))[0]!, 'admin001', 'bad', Date.now());
    expect(await statsOf()).toMatchObject({ entries: 0, rawBytes: 0, storedBytes: 0 });
  });

  it('one with broken bytes is set aside with all it holds, beside others, and can be discarded', async () => {
    const lost = build(4);
    await putAll(lost);
    const [key] = await dirtyKeys();
    const { keys, registry, failedWrites } = h.engine;
    const { shard, bucket, field } = keys.place(registry.get('scan'), key!);
    const bucketKey = keys.bucket(shard, 'scan', bucket);
    const entry = (await h.redis.hgetBuffer(bucketKey, field!))!;
    const damaged = Buffer.from(entry);
    damaged.fill(0xff, HEADER_BYTES + 1, HEADER_BYTES + 4); // where the fixed parts end
    await h.redis.hset(bucketKey, field!, damaged);
    const good = build(2);
    await putAll(good);
    expect((await h.buffer.pendingAll('scan')).map(({ document }) => document)).toEqual(good);
    expect(await flushAll()).toMatchObject({ taken: 6, stored: 2, failed: 4, left: 0 });
    const [record] = await failedWrites.list('scan');
    expect(record).toMatchObject({ key, code: 'PAYLOAD_UNREADABLE' });
    expect(await statsOf()).toMatchObject({ entries: 4, failed: 1 });
    await failedWrites.discard(record!, 'admin001', 'broken', Date.now());
    expect(await statsOf()).toMatchObject({ entries: 0, rawBytes: 0, storedBytes: 0 });
  });

  it('one that a run is storing meanwhile is not lost by the other run', async () => {
    const scans = build(10);
    await putAll(scans);
    const keys = await dirtyKeys();
    const [first, second] = await Promise.all([h.flush('scan', keys), h.flush('scan', keys)]);
    expect(first!.stored + second!.stored).toBeGreaterThanOrEqual(10);
    expect(await storedOf(scans)).toHaveLength(10);
    expect(await h.audit()).toEqual([]);
  });

  it('go through to the database one by one while the buffer takes no writes', async () => {
    const { engine } = await h.startProcess({ writesThrough: true, guard: FULL });
    const scan = buildScan();
    expect(await engine.writer.put('scan', scan)).toMatchObject({ isPending: false });
    expect(await storedOf([scan])).toHaveLength(1);
    const bad = buildScan({ minutes: -1 });
    await expect(engine.writer.put('scan', bad)).rejects.toThrow();
    expect(await h.buffer.fetch('scan', [String(bad.id)])).toEqual([] satisfies PendingWrite[]);
    expect(await statsOf()).toMatchObject({ entries: 0 });
  });

  it('are not for documents that change', async () => {
    await expect(h.put('scan', buildScan(), { ifMatch: 3 })).rejects.toThrow('never changed');
    await expect(h.remove('scan', buildScan())).rejects.toThrow('never changed');
  });
});

/** Every share of memory is above this mark. */
const FULL = { allowVolatile: false, requiredFsync: 'everysec', softShare: 0, hardShare: 0, fallbackBytes: 1 } as const;
