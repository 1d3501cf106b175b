import { expect, it } from 'vitest';
import { whileDatabaseIsDown } from '../../support/database-outage.ts';
import { useSchool } from '../../support/harness.ts';

const school = useSchool();
/** What a request could wait for; a script is the group commit itself. */
const READS = new Set(['get', 'mget', 'hget', 'hmget', 'hgetall', 'smembers', 'exists']);

it('giving homework reads neither Redis nor PostgreSQL once the teacher is known', async () => {
  const teacher = school.as('teacher001');
  const [subject] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
  const give = () =>
    teacher('POST', '/homework', {
      body: { class_subject_ids: [subject.id], title: 'Hot', due_at: '2025-09-12T18:00:00Z' },
    });
  expect((await give()).status).toBe(202);

  const monitor = await school.engine.connect().monitor();
  const commands: string[] = [];
  const settled = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, [name, ...args]: string[], source: string) => {
      if (args[0] === 'all done') resolve();
      else if (source !== 'lua' && args.some((arg) => arg.includes(school.prefix))) commands.push(name!.toLowerCase());
    });
  });
  const statuses: number[] = [];
  await whileDatabaseIsDown(school, async () => {
    for (let count = 0; count < 20; count++) statuses.push((await give()).status);
  });
  await school.engine.redis.echo('all done');
  await settled;
  monitor.disconnect();

  expect(statuses).toEqual(statuses.map(() => 202));
  expect(commands).toContain('evalsha');
  expect(commands.filter((name) => READS.has(name))).toEqual([]);
});
