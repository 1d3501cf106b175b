import { beforeAll, describe, expect, it } from 'vitest';
import { WRITE_BATCHES } from '../../../queues/write-batches.queue.ts';
import { buildHomework, buildSubmission, type Refs, refsOf } from '../../support/documents.ts';
import { type Call, useSchool } from '../../support/harness.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
let admin: Call;
let refs: Refs;

beforeAll(async () => {
  admin = school.as('admin');
  refs = await refsOf(school);
});

const isStored = async (id: string) => (await school.rows('SELECT 1 FROM homework WHERE id = $1', [id])).length === 1;

describe('failed writes', () => {
  it('I5 a row that PostgreSQL refuses fails alone in a batch of 100, is repaired, replayed and stored', async () => {
    const bad = buildHomework(refs, { title: 'bad\0title' });
    const good = Array.from({ length: 99 }, () => buildHomework(refs));
    await Promise.all([bad, ...good].map((document) => school.engine.buffer.put('homework', document)));
    const run = await school.sync();
    const summary = run.entities.find(({ entity }) => entity === 'homework')!;
    expect(summary).toMatchObject({ taken: 100, stored: 99, failed: 1, left: 0 });
    const id = `homework~${bad.id}`;
    const failed = await admin('GET', `/admin/failed-writes/${id}`);
    expect(failed.body.data).toMatchObject({
      state: 'failed',
      code: '22021',
      entity: 'homework',
      document: { title: 'bad\0title' },
    });
    expect(
      (await admin('GET', '/admin/failed-writes?entity=homework')).body.data.map((line: { id: string }) => line.id),
    ).toEqual([id]);
    const job = await until('the failed job', async () => {
      const found = await school.engine.queues[WRITE_BATCHES].getJob(failed.body.data.job_id);
      return (await found?.getState()) === 'failed' ? found : undefined;
    });
    expect(job.failedReason).toContain('22021');
    // It is not tried again by itself, and reads still see it.
    expect((await school.sync()).entities.map(({ entity }) => entity)).not.toContain('homework');
    expect(await isStored(bad.id)).toBe(false);

    const repaired = await admin('PATCH', `/admin/failed-writes/${id}`, {
      body: { document: { title: 'good title' } },
    });
    expect(repaired.body.data.document.title).toBe('good title');
    expect((await admin('POST', `/admin/failed-writes/${id}/replay`)).status).toBe(202);
    await until('the replay', async () => ((await isStored(bad.id)) ? true : undefined));
    await until('the failed write to go', async () =>
      (await admin('GET', `/admin/failed-writes/${id}`)).status === 404 ? true : undefined,
    );
    const log = await admin('GET', `/activity-logs?entity=${bad.id}`);
    expect(log.body.data.map((line: { action: string }) => line.action)).toEqual(
      expect.arrayContaining(['failed_write.repair', 'failed_write.replay']),
    );
  });

  it("refuses a repair that breaks the entity's schema, naming the field", async () => {
    const bad = buildHomework(refs, { title: 'bad\0again' });
    await school.engine.buffer.put('homework', bad);
    await school.sync();
    const answer = await admin('PATCH', `/admin/failed-writes/homework~${bad.id}`, {
      body: { document: { title: 'x'.repeat(301) } },
    });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/document/title' }] } });
    expect((await admin('DELETE', `/admin/failed-writes/homework~${bad.id}?reason=not wanted any more`)).status).toBe(
      200,
    );
    expect(await school.engine.buffer.get('homework', bad.id)).toBeUndefined();
    expect((await admin('GET', '/admin/failed-writes?resolved=true')).body.data[0]).toMatchObject({
      resolution: 'discarded',
      reason: 'not wanted any more',
    });
  });

  it("I6 a child of a failed parent waits and says why, and follows the parent's replay", async () => {
    const parent = buildHomework(refs, { title: 'bad\0parent' });
    const child = buildSubmission(parent.id, refs.studentIds[0]!);
    await school.engine.buffer.put('homework', parent);
    await school.engine.buffer.put('homework_submission', child);
    await school.sync();
    const childId = `homework_submission~${parent.id}:${child.student_id}`;
    expect((await admin('GET', `/admin/failed-writes/${childId}`)).body.data).toMatchObject({
      state: 'waiting',
      code: 'PARENT_FAILED',
      waiting_for: { entity: 'homework', key: parent.id },
    });
    await admin('PATCH', `/admin/failed-writes/homework~${parent.id}`, { body: { document: { title: 'mended' } } });
    await admin('POST', '/admin/failed-writes/replay?entity=homework');
    await until('the submission', async () =>
      (await school.rows('SELECT 1 FROM homework_submissions WHERE homework_id = $1', [parent.id])).length === 1
        ? true
        : undefined,
    );
  });

  it('a discarded parent leaves its children failed with the reason', async () => {
    const parent = buildHomework(refs, { title: 'bad\0parent' });
    const child = buildSubmission(parent.id, refs.studentIds[1]!);
    await school.engine.buffer.put('homework', parent);
    await school.engine.buffer.put('homework_submission', child);
    await school.sync();
    const answer = await admin('DELETE', `/admin/failed-writes/homework~${parent.id}?reason=given by mistake`);
    expect(answer.body.data.orphans).toEqual([`homework_submission~${parent.id}:${child.student_id}`]);
    expect(
      (await admin('GET', `/admin/failed-writes/homework_submission~${parent.id}:${child.student_id}`)).body.data,
    ).toMatchObject({ state: 'failed', code: 'PARENT_DISCARDED' });
    await admin(
      'DELETE',
      `/admin/failed-writes/homework_submission~${parent.id}:${child.student_id}?reason=its parent is gone`,
    );
  });

  it('a newer write supersedes a failed one and is stored by the next run', async () => {
    const bad = buildHomework(refs, { title: 'bad\0title' });
    await school.engine.buffer.put('homework', bad);
    await school.sync();
    await school.engine.buffer.put('homework', { ...bad, title: 'newer' });
    expect((await admin('GET', `/admin/failed-writes/homework~${bad.id}`)).status).toBe(404);
    await school.sync();
    expect(await isStored(bad.id)).toBe(true);
    const resolved = (await admin('GET', '/admin/failed-writes?resolved=true')).body.data;
    expect(resolved.find((line: { key: string }) => line.key === bad.id)).toMatchObject({ resolution: 'superseded' });
  });

  it('is for admins only, and names unknown entities', async () => {
    expect((await school.as('teacher001')('GET', '/admin/failed-writes')).status).toBe(403);
    expect((await school.as(undefined)('GET', '/admin/buffer')).status).toBe(401);
    expect(await admin('GET', '/admin/failed-writes?entity=nothing')).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/query/entity' }] },
    });
    expect((await admin('GET', '/admin/buffer/nothing/x')).status).toBe(404);
  });
});

describe('buffer', () => {
  it('shows one key decoded, with its metadata', async () => {
    const document = buildHomework(refs, {
      title: 'Look inside',
      description: 'Complete the exercise in your notebook and show all steps of the working.',
    });
    await school.engine.buffer.put('homework', document);
    const { data } = (await admin('GET', `/admin/buffer/homework/${document.id}`)).body;
    expect(data).toMatchObject({
      state: 'dirty',
      parts: [{ document: { title: 'Look inside' }, metadata: { compressed: true, synced_to_db: false, writes: 1 } }],
    });
    expect(data.parts[0].metadata.compressed_size).toBeLessThan(data.parts[0].metadata.original_size);
  });
});

describe('Bull Board', () => {
  it('asks for the admin login, by cookie or bearer', async () => {
    const nobody = await school.as(undefined)('GET', '/admin/queues');
    expect(nobody.status).toBe(401);
    const form = new URLSearchParams({ login: 'admin', password: 'schools24-demo' });
    const login = await fetch(`${school.baseUrl}/admin/queues/login`, {
      method: 'POST',
      body: form,
      redirect: 'manual',
    });
    expect(login.status).toBe(303);
    const cookie = login.headers.get('set-cookie')!.split(';')[0]!;
    const board = await fetch(`${school.baseUrl}/admin/queues/api/queues`, { headers: { cookie } });
    expect(board.status).toBe(200);
    const { queues } = (await board.json()) as { queues: { name: string }[] };
    expect(queues.map(({ name }) => name)).toEqual(Object.keys(school.engine.queues));
    expect(queues.map(({ name }) => name)).toContain('imports');
    expect((await school.as('teacher001')('GET', '/admin/queues')).status).toBe(403);
  });
});
