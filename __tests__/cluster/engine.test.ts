import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildHomework, buildSubmission, type Refs, refsOf } from '../support/documents.ts';
import { SchoolHarness } from '../support/harness.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { until } from '../support/until.ts';

let cluster: RedisCluster;
/** Its keys spread over six shards and a slot a queue. */
let school: SchoolHarness;
let refs: Refs;

beforeAll(async () => {
  cluster = await startRedisCluster();
  school = new SchoolHarness({ REDIS_URL: cluster.url, REDIS_CLUSTER: 'true', BUFFER_SHARDS: '6' });
  await school.open();
  refs = await refsOf(school);
}, 60_000);

afterAll(async () => {
  await school?.close();
  await cluster?.close();
});

describe('Redis Cluster', () => {
  it('buffers, lists and stores documents of all shards', async () => {
    const teacher = school.as('teacher001');
    const subject = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects[0].id;
    const given = [];
    for (let index = 0; index < 20; index++) {
      const answer = await teacher('POST', '/homework', {
        body: { class_subject_ids: [subject], title: `spread ${index}`, due_at: '2026-05-01T10:00:00Z' },
      });
      expect(answer.status).toBe(202);
      given.push(answer.body.data.id);
    }
    const shards = new Set(given.map((id) => school.engine.keys.shardOf(id)));
    expect(shards.size).toBeGreaterThan(2);
    const list = await teacher('GET', '/homework?due_from=2026-05-01T00:00:00Z&limit=100');
    expect(list.body.data.map(({ id }: { id: string }) => id).sort()).toEqual([...given].sort());
    const { entities } = (await school.as('admin')('GET', '/admin/buffer')).body.data;
    const waiting = entities.find(({ entity }: { entity: string }) => entity === 'homework');
    expect(waiting.dirty).toBe(given.length);
    expect(waiting.oldest_age_seconds).toBeLessThan(60);
    const run = await school.sync();
    expect(run).toMatchObject({ failed: 0, left: 0 });
    expect(await school.rows('SELECT id FROM homework WHERE id = ANY($1)', [given])).toHaveLength(given.length);
  });

  it('merges a sheet by student', async () => {
    const teacher = school.as('teacher001');
    const classId = (await teacher('GET', '/auth/me')).body.data.scopes.homerooms[0].id;
    const students = (await teacher('GET', `/classes/${classId}/students`)).body.data;
    const path = `/attendance/classes/${classId}/sheets/2025-09-10`;
    await teacher('PUT', path, { body: { entries: [{ student_id: students[0].student_id, status: 'absent' }] } });
    await teacher('PUT', path, { body: { entries: [{ student_id: students[1].student_id, status: 'present' }] } });
    const sheet = (await teacher('GET', path)).body.data.entries.slice(0, 2);
    expect(sheet.map(({ status }: { status: string }) => status)).toEqual(['absent', 'present']);
    expect((await school.sync()).failed).toBe(0);
  });

  it('sets a refused write aside, lets its child wait, and replays both', async () => {
    const parent = buildHomework(refs, { title: 'bad\0title' });
    await school.engine.buffer.put('homework', parent);
    await school.engine.buffer.put('homework_submission', buildSubmission(parent.id, refs.studentIds[0]!));
    await school.sync();
    const admin = school.as('admin');
    const id = `homework~${parent.id}`;
    expect((await admin('GET', `/admin/failed-writes/${id}`)).body.data).toMatchObject({
      state: 'failed',
      code: '22021',
    });
    await admin('PATCH', `/admin/failed-writes/${id}`, { body: { document: { title: 'mended' } } });
    await admin('POST', `/admin/failed-writes/${id}/replay`);
    await until('the submission', async () =>
      (await school.rows('SELECT 1 FROM homework_submissions WHERE homework_id = $1', [parent.id])).length === 1
        ? true
        : undefined,
    );
  });
});
