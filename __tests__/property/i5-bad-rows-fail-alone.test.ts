import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { replay } from '../../queues/failed-jobs.ts';
import { WRITE_BATCHES } from '../../queues/write-batches.queue.ts';
import { type FailedWrite, failedWriteId } from '../../src/buffer/failed-writes.ts';
import type { Document } from '../../src/lib/entity.ts';
import { useHarness } from '../support/engine-harness.ts';
import { buildClub, buildMark, buildRoll, NAME_LENGTH, testId } from '../support/test-entities.ts';
import { until } from '../support/until.ts';

/** Ways in which a row can be bad, and what the database says. */
const BAD: Record<string, { code: string; spoil: (club: Document) => Document }> = {
  tooLong: { code: '23514', spoil: (club) => ({ ...club, name: `${club.name}`.padEnd(NAME_LENGTH + 1, 'x') }) },
  negative: { code: '23514', spoil: (club) => ({ ...club, size: -1 }) },
  missing: { code: '23502', spoil: (club) => ({ ...club, name: null }) },
  nul: { code: '22021', spoil: (club) => ({ ...club, name: `a\0${String(club.id).slice(0, 8)}` }) },
  nulInJson: { code: '22P05', spoil: (club) => ({ ...club, tags: { room: 'a\0b' } }) },
  overflow: { code: '22003', spoil: (club) => ({ ...club, size: 2 ** 31 }) },
};
const kind = fc.constantFrom(...Object.keys(BAD));

describe('I5: a bad row fails alone', () => {
  const h = useHarness({ batchSize: 50 });
  beforeAll(async () => void (await h.startWorker()));

  const recordOf = (id: unknown) => h.engine.failedWrites.get(failedWriteId('club', String(id)));
  const isStored = async (id: unknown): Promise<boolean> =>
    (await h.rows('SELECT 1 FROM clubs WHERE id = ?', [id])).length === 1;
  /** How many events the stored rows of some documents have made. */
  const toldOf = async (ids: readonly unknown[]): Promise<(id: unknown) => number> => {
    const rows = await h.rows(
      'SELECT aggregate_id AS id, count(*)::int AS count FROM outbox_events WHERE aggregate_id = ANY(?) GROUP BY 1',
      [ids],
    );
    const counts = new Map(rows.map(({ id, count }) => [id, Number(count)]));
    return (id) => counts.get(id) ?? 0;
  };
  const resolved = (id: unknown) =>
    until(`the record of ${id} to go`, async () => ((await recordOf(id)) === undefined ? true : undefined));

  it('its neighbours are stored in the same run; it is repaired and replayed, or discarded, or superseded', async () => {
    const example = fc.array(
      fc.record({
        bad: fc.option(kind, { nil: undefined, freq: 4 }),
        fate: fc.constantFrom('repaired', 'discarded', 'superseded'),
      }),
      { minLength: 20, maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(example, async (rows) => {
        const clubs = rows.map(({ bad }) => {
          const club = buildClub();
          return { good: club, put: bad ? BAD[bad]!.spoil(club) : club };
        });
        for (const { put } of clubs) await h.put('club', put);
        const run = await h.sync();
        const bad = clubs.flatMap(({ good }, index) => (rows[index]!.bad ? [{ good, ...rows[index]! }] : []));
        expect(run).toMatchObject({
          taken: clubs.length,
          stored: clubs.length - bad.length,
          failed: bad.length,
          left: 0,
          superseded: 0,
        });
        for (const [index, { good }] of clubs.entries())
          expect(await isStored(good.id), JSON.stringify(rows[index])).toBe(!rows[index]!.bad);
        // What was halved and sent again has told of each stored row once, and of no other.
        const told = await toldOf(clubs.map(({ good }) => good.id));
        for (const [index, { good }] of clubs.entries()) expect(told(good.id)).toBe(rows[index]!.bad ? 0 : 1);
        for (const { good, bad: how } of bad) {
          expect(await recordOf(good.id), how).toMatchObject({ state: 'failed', code: BAD[how!]!.code });
        }
        // Nothing failed is tried again by itself.
        expect(await h.sync()).toMatchObject({ taken: 0 });
        // Each is a failed job of its own.
        await until('the failed jobs', async () => {
          const jobs = await h.engine.queues[WRITE_BATCHES].getFailed(0, 1_000);
          const keys = jobs.map(({ data }) => data.keys.join());
          return bad.every(({ good }) => keys.includes(String(good.id))) ? true : undefined;
        });
        for (const { good, fate } of bad) {
          const record = (await recordOf(good.id)) as FailedWrite;
          if (fate === 'repaired') {
            await replay(h.engine.queues, h.engine.failedWrites, await h.engine.failedWrites.repair(record, good));
            await resolved(good.id);
            expect(await isStored(good.id)).toBe(true);
          } else if (fate === 'discarded') {
            await h.engine.failedWrites.discard(record, 'admin001', 'not needed', Date.now());
            expect(await recordOf(good.id)).toBeUndefined();
            expect(await h.reader.get('club', String(good.id))).toBeUndefined();
          } else {
            await h.put('club', good);
            expect(await recordOf(good.id)).toBeUndefined();
          }
        }
        const superseded = bad.filter(({ fate }) => fate === 'superseded').length;
        expect((await h.sync()).stored).toBe(superseded);
        const toldNow = await toldOf(bad.map(({ good }) => good.id));
        for (const { good, fate } of bad) {
          expect(await isStored(good.id)).toBe(fate !== 'discarded');
          expect(toldNow(good.id)).toBe(fate === 'discarded' ? 0 : 1);
        }
        const history = await h.engine.failedWrites.resolved(1_000);
        for (const { good, fate } of bad) {
          const resolution = history.find(({ key }) => key === good.id)?.resolution;
          expect(resolution).toBe({ repaired: 'stored', discarded: 'discarded', superseded: 'superseded' }[fate]);
        }
        expect(await h.dirty()).toEqual([]);
      }),
      { numRuns: 8 },
    );
  });

  it('a replay without a repair fails again, with the reason, and counts the attempt', async () => {
    const club = BAD.negative!.spoil(buildClub());
    await h.put('club', club);
    await h.sync();
    const first = await until('the first failed job', async () => {
      const record = await recordOf(club.id);
      const job = record?.jobId ? await h.engine.queues[WRITE_BATCHES].getJob(record.jobId) : undefined;
      return (await job?.getState()) === 'failed' ? record : undefined;
    });
    await replay(h.engine.queues, h.engine.failedWrites, first!);
    const again = await until('another attempt', async () => {
      const record = await recordOf(club.id);
      return record && record.attempts > first!.attempts ? record : undefined;
    });
    expect(again).toMatchObject({ state: 'failed', code: '23514', firstAtMs: first!.firstAtMs });
  });

  it('bad fields spoil their own sheet only', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('good', 'negative', 'overflow', 'nul'), { minLength: 2, maxLength: 12 }),
        async (kinds) => {
          const spoilt = { good: {}, negative: { minutes: -1 }, overflow: { minutes: 2 ** 40 }, nul: { note: 'a\0b' } };
          const sheets = kinds.map((how) => ({
            how,
            head: buildRoll(testId('club')),
            marks: [buildMark(), buildMark(spoilt[how])],
          }));
          for (const { head, marks } of sheets)
            await h.buffer.putSheet('roll', `${head.club_id}:${head.held_on}`, head, marks);
          const run = await h.sync();
          const good = sheets.filter(({ how }) => how === 'good');
          expect(run).toMatchObject({ failed: sheets.length - good.length, left: 0 });
          for (const { how, head } of sheets) {
            expect((await h.rows('SELECT 1 FROM roll_marks WHERE roll_id = ?', [head.id])).length, how).toBe(
              how === 'good' ? 2 : 0,
            );
            expect(await h.storedEvents(`${head.club_id}:${head.held_on}`), how).toHaveLength(how === 'good' ? 1 : 0);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('payloads with broken bytes are set aside, are listed, and can be discarded or written anew', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            isBroken: fc.boolean(),
            at: fc.nat(200),
            isCut: fc.boolean(),
            fate: fc.constantFrom('discarded', 'superseded'),
          }),
          { minLength: 2, maxLength: 10 },
        ),
        async (examples) => {
          const district = testId('district');
          const clubs = examples.map(() => buildClub({ district }));
          for (const [index, club] of clubs.entries()) {
            await h.put('club', club);
            const { isBroken, at, isCut } = examples[index]!;
            if (isBroken) await damage(String(club.id), at, isCut);
          }
          const run = await h.sync();
          const stored = await h.rows('SELECT id FROM clubs WHERE district = ?', [district]);
          for (const [index, club] of clubs.entries()) {
            if (examples[index]!.isBroken) continue;
            expect(stored.some(({ id }) => id === club.id)).toBe(true);
          }
          expect(run.left).toBe(0);
          // Damage may be such that the bytes still make a row; then it is stored. Never both, never neither.
          for (const { id } of clubs) {
            const record = await recordOf(id);
            expect((record ? 1 : 0) + ((await isStored(id)) ? 1 : 0)).toBe(1);
          }
          const list = await h.reader.list({
            entity: 'club',
            relation: { column: 'district', values: [district] },
            sort: { column: 'name', direction: 'asc' },
            limit: 50,
          });
          const shown = list.items.map(({ document }) => document.id);
          for (const [index, club] of clubs.entries()) if (!examples[index]!.isBroken) expect(shown).toContain(club.id);
          for (const [index, club] of clubs.entries()) {
            const record = await recordOf(club.id);
            if (!record) continue;
            if (examples[index]!.fate === 'discarded')
              await h.engine.failedWrites.discard(record, 'admin001', 'broken', Date.now());
            else await h.put('club', club);
            expect(await recordOf(club.id)).toBeUndefined();
          }
          await h.syncAll();
        },
      ),
      { numRuns: 15 },
    );
  });

  /** Turns the bits of one byte behind the header, or cuts the entry there. */
  async function damage(id: string, at: number, isCut: boolean): Promise<void> {
    const { keys, registry, redis } = h.engine;
    const { shard, bucket, field } = keys.place(registry.get('club'), id);
    const key = keys.bucket(shard, 'club', bucket);
    const entry = (await redis.hgetBuffer(key, field!))!;
    const place = 19 + (at % (entry.length - 19));
    const damaged = isCut ? entry.subarray(0, place) : Buffer.from(entry);
    if (!isCut) damaged[place] = damaged[place]! ^ 0xff;
    await redis.hset(key, field!, damaged);
    // What a damaged disk does not change: the counter of stored bytes stays as it was.
    if (isCut) await redis.hincrby(keys.counters(shard), 'club:stored', damaged.length - entry.length);
  }
});
