import { describe, expect, it } from 'vitest';
import { useSchool } from '../../support/harness.ts';
import { useStreams } from '../../support/school-streams.ts';
import { TODAY } from '../../support/template.ts';

const school = useSchool();
const listen = useStreams(school);
const teacher = school.as('teacher001');

async function change(locale: string): Promise<string> {
  const { body } = await teacher('PATCH', '/auth/me', { body: { locale } });
  return body.meta.writes[0];
}

describe('GET /stream?writes=', () => {
  it('tells of each write as soon as it is stored', async () => {
    const profile = await change('en-GB');
    const { scopes } = (await teacher('GET', '/auth/me')).body.data;
    const roll = await teacher('PUT', `/attendance/classes/${scopes.homerooms[0].id}/sheets/${TODAY}`, {
      body: { entries: [], rest: 'present' },
    });
    const sheet = roll.body.meta.writes[0];
    const stream = await listen('teacher001', `?writes=${profile},${encodeURIComponent(sheet)}`);
    await stream.next('stream.ready');
    expect(stream.events.map(({ name }) => name)).toEqual(['stream.ready']);
    await school.sync();
    const told = [await stream.next('write.stored'), await stream.next('write.stored')];
    expect(new Map(told.map(({ data }) => [data.id, data]))).toEqual(
      new Map([
        [
          profile,
          {
            id: profile,
            entity: 'profile',
            version: Number(profile.split('~')[2]),
            state: 'stored',
            database: 'postgres',
          },
        ],
        [
          sheet,
          {
            id: sheet,
            entity: 'attendance',
            version: Number(sheet.split('~')[2]),
            state: 'stored',
            database: 'postgres',
          },
        ],
      ]),
    );
    expect(told.every(({ id }) => id === undefined)).toBe(true);
  });

  it('tells at once of one that is stored already', async () => {
    const id = await change('en-IN');
    await school.sync();
    const stream = await listen('teacher001', `?writes=${id}`);
    expect((await stream.next('write.stored')).data).toMatchObject({ id, state: 'stored' });
  });

  it('tells of a write that a newer one has replaced once that one is stored', async () => {
    const old = await change('hi-IN');
    const stream = await listen('teacher001', `?writes=${old}`);
    await stream.next('stream.ready');
    const newer = await change('en-US');
    const both = await listen('teacher001', `?writes=${old},${newer}`);
    await both.next('stream.ready');
    expect(both.events.map(({ name }) => name)).toEqual(['stream.ready']);
    await school.sync();
    expect((await stream.next('write.stored')).data.id).toBe(old);
    expect(new Set([(await both.next('write.stored')).data.id, (await both.next('write.stored')).data.id])).toEqual(
      new Set([old, newer]),
    );
  });

  it('tells of one that the database refuses, and when it is stored after a repair', async () => {
    const { body } = await teacher('GET', '/auth/me');
    const [subject] = body.data.scopes.class_subjects;
    const posted = await teacher('POST', '/homework', {
      body: { class_subject_ids: [subject.id], title: 'Refused', due_at: '2025-09-12T18:00:00Z' },
    });
    const [id] = posted.body.meta.writes;
    const homeworkId = posted.body.data[0]?.id ?? posted.body.data.id;
    const stream = await listen('teacher001', `?writes=${id}`);
    await stream.next('stream.ready');
    await school.rows("ALTER TABLE homework ADD CONSTRAINT no_refused CHECK (title <> 'Refused')");
    await school.sync();
    expect((await stream.next('write.failed')).data).toMatchObject({ id, entity: 'homework', state: 'failed' });
    const late = await listen('teacher001', `?writes=${id}`);
    expect((await late.next('write.failed')).data).toMatchObject({ id, state: 'failed' });
    await school.rows('ALTER TABLE homework DROP CONSTRAINT no_refused');
    await school.as('admin')('POST', `/admin/failed-writes/homework~${homeworkId}/replay`);
    expect((await stream.next('write.stored')).data).toMatchObject({ id });
    expect((await late.next('write.stored')).data).toMatchObject({ id });
  });

  it('costs one message a batch, and none of it reaches processes whose clients follow nothing', async () => {
    const { redis, keys } = school.engine;
    const id = await change('de-DE');
    const channel = keys.channel('writes');
    expect(await redis.pubsub('NUMSUB', channel)).toEqual([channel, 0]);
    const stream = await listen('teacher001', `?writes=${id}`);
    await stream.next('stream.ready');
    expect(await redis.pubsub('NUMSUB', channel)).toEqual([channel, 1]);
  });
});
