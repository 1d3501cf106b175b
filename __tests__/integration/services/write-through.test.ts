import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { ActivityLog } from '../../../src/services/activity-log/activity-log.ts';
import { type Caller, type Change, WriteThrough } from '../../../src/services/write-through.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { useSchool } from '../../support/harness.ts';

const school = useSchool();
let knex: Knex;
let writes: WriteThrough;
let userId: string;

beforeAll(async () => {
  knex = createPostgres({ url: school.knexUrl, maxConnections: 4, idleConnections: 0, log: school.log });
  const { buffer, writer } = school.engine;
  writes = new WriteThrough({ knex, activity: new ActivityLog({ buffer, writer, db: school.container.db }) });
  const [admin] = await school.rows("SELECT id FROM users WHERE login = 'admin'");
  userId = String(admin!.id);
});
afterAll(() => knex.destroy());

/** A caller, whose request came with an Idempotency-Key if it has one. */
const callerWith = (key?: string, hash = 'aaaa'): Caller => ({
  actor: { userId, roles: ['admin'] },
  requestId: 'test-request',
  ip: '127.0.0.1',
  now: school.clock.now(),
  newId,
  ...(key === undefined ? {} : { repeatable: { key, method: 'POST', path: '/api/v1/subjects', hash } }),
});

const addSubject =
  (code: string) =>
  async ({ knex: transaction, emit, record }: Change) => {
    const id = newId();
    await transaction.raw('INSERT INTO subjects (id, code, name, is_elective) VALUES (?, ?, ?, false)', [
      id,
      code,
      code,
    ]);
    emit({ name: 'school.assignment.changed', aggregateId: id, payload: { subject_id: id } });
    record({ service: 'auth', action: 'subject.create', entity: { type: 'subject', id } });
    return { id, code };
  };

const UNIQUES = { subjects_code_uq: '/code' };
const subjectsWith = (code: string) => school.rows('SELECT id FROM subjects WHERE code = $1', [code]);
const eventsOf = (id: string) => school.rows('SELECT * FROM outbox_events WHERE aggregate_id = $1', [id]);

describe('a write-through change', () => {
  it('commits its rows together with its events, and is in the audit log', async () => {
    const { id } = await writes.run(callerWith(), addSubject('WT1'), UNIQUES);
    expect(await subjectsWith('WT1')).toHaveLength(1);
    const [event] = await eventsOf(id);
    expect(event).toMatchObject({
      name: 'school.assignment.changed',
      payload: { v: 1, payload: { subject_id: id }, actorId: userId, requestId: 'test-request' },
    });
    const logs = (await school.as('admin')('GET', '/activity-logs?action=subject.create')).body.data;
    expect(logs.map(({ entity }: { entity: { id: string } }) => entity.id)).toContain(id);
  });

  it('leaves nothing when it throws', async () => {
    const broken = async (change: Change) => {
      await addSubject('WT2')(change);
      throw new Error('thought better of it');
    };
    await expect(writes.run(callerWith(), broken)).rejects.toThrow('thought better of it');
    expect(await subjectsWith('WT2')).toEqual([]);
  });

  it('names the field of a value that is taken', async () => {
    await writes.run(callerWith(), addSubject('WT3'), UNIQUES);
    const again = writes.run(callerWith(), addSubject('WT3'), UNIQUES);
    await expect(again).rejects.toMatchObject({ code: 'TAKEN', errors: [{ pointer: '/code' }] });
  });
});

describe('a write-through change of a repeatable request', () => {
  it('happens once, and is answered as the first time', async () => {
    const first = await writes.run(callerWith('k1'), addSubject('ONCE1'), UNIQUES);
    const second = await writes.run(callerWith('k1'), addSubject('ONCE1'), UNIQUES);
    expect(second).toEqual(first);
    expect(await subjectsWith('ONCE1')).toHaveLength(1);
    expect(await eventsOf(first.id)).toHaveLength(1);
  });

  it('happens once when both run at the same time', async () => {
    const both = await Promise.all([1, 2, 3].map(() => writes.run(callerWith('k2'), addSubject('ONCE2'), UNIQUES)));
    expect(new Set(both.map(({ id }) => id)).size).toBe(1);
    expect(await subjectsWith('ONCE2')).toHaveLength(1);
  });

  it('is another request’s when its hash differs', async () => {
    await writes.run(callerWith('k3'), addSubject('ONCE3'), UNIQUES);
    const other = writes.run(callerWith('k3', 'bbbb'), addSubject('ONCE4'), UNIQUES);
    await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
    expect(await subjectsWith('ONCE4')).toEqual([]);
  });

  it('may be tried again after it failed', async () => {
    const failing = writes.run(callerWith('k5'), () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    await writes.run(callerWith('k5', 'cccc'), addSubject('ONCE5'), UNIQUES);
    expect(await subjectsWith('ONCE5')).toHaveLength(1);
  });

  it('is forgotten after a day', async () => {
    await writes.run(callerWith('k6'), addSubject('ONCE6'), UNIQUES);
    await school.rows("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = 'k6'");
    await writes.run(callerWith('k6', 'dddd'), addSubject('ONCE7'), UNIQUES);
    expect(await subjectsWith('ONCE7')).toHaveLength(1);
  });
});

describe('a rehearsal', () => {
  it('does what the real thing would, each change seeing those before it, and keeps nothing', async () => {
    const added = await writes.rehearse(async (rehearsal) => {
      const first = await rehearsal.run(addSubject('WR1'), UNIQUES);
      // A change that throws takes back itself alone, and in the words of a real one.
      await expect(rehearsal.run(addSubject('WR1'), UNIQUES)).rejects.toMatchObject({
        code: 'TAKEN',
        errors: [{ pointer: '/code' }],
      });
      const second = await rehearsal.run(addSubject('WR2'), UNIQUES);
      const seen = await rehearsal.run(({ knex: transaction }) =>
        transaction('subjects').where('code', 'like', 'WR%').orderBy('code').pluck('code'),
      );
      expect(seen).toEqual(['WR1', 'WR2']);
      return [first, second];
    });
    for (const { id, code } of added) {
      expect(await subjectsWith(code)).toEqual([]);
      expect(await eventsOf(id)).toEqual([]);
      expect((await school.as('admin')('GET', `/activity-logs?entity=${id}`)).body.data).toEqual([]);
    }
  });

  it('keeps nothing when it breaks, and gives its connection back', async () => {
    for (let round = 0; round < 6; round++) {
      const broken = writes.rehearse(async (rehearsal) => {
        await rehearsal.run(addSubject('WR3'));
        throw new Error('worker stops');
      });
      await expect(broken).rejects.toThrow('worker stops');
    }
    expect(await subjectsWith('WR3')).toEqual([]);
  });
});
