import { afterEach, describe, expect, it } from 'vitest';
import { RUN_TASKS, scheduleTasks } from '../../../queues/run-tasks.queue.ts';
import type { ScheduledTask, TaskRun } from '../../../src/lib/scheduled-task.ts';
import { declareTasks, startTaskWorker } from '../../../src/task-workers.ts';
import { useSchool } from '../../support/harness.ts';
import { until } from '../../support/until.ts';

const school = useSchool();
const timezone = 'Asia/Kolkata';
const task = (name: string, service: string, more: Partial<ScheduledTask> = {}): ScheduledTask => ({
  name,
  service,
  schedule: { at: '03:00' },
  run: async () => ({}),
  ...more,
});
const queue = () => school.engine.queues[RUN_TASKS];
const scheduled = async (): Promise<string[]> => (await queue().getJobSchedulers()).map(({ key }) => key).sort();
const schedule = (tasks: readonly ScheduledTask[], services: string[] = [], tz = timezone) =>
  scheduleTasks(queue(), tasks, { services, timezone: tz });
const work = (tasks: readonly ScheduledTask[]) =>
  startTaskWorker({ engine: school.engine, tasks }, school.log, school.clock);

afterEach(async () => {
  await schedule([]);
  await queue().obliterate({ force: true });
});

describe('the schedule', () => {
  it('is one, however many workers start at once, at school time', async () => {
    const tasks = [
      task('night', 'auth', { schedule: { at: '01:30' } }),
      task('often', 'platform', { schedule: { everyMs: 60_000 } }),
    ];
    await Promise.all([schedule(tasks), schedule(tasks), schedule(tasks)]);
    expect(await queue().getJobSchedulers()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'auth~night', pattern: '30 1 * * *', tz: timezone }),
        expect.objectContaining({ key: 'platform~often', every: 60_000 }),
      ]),
    );
    const jobs = await queue().getJobs(['delayed', 'waiting', 'prioritized']);
    expect(jobs.map(({ name }) => name).sort()).toEqual(['night', 'often']);
    await schedule(tasks, [], 'Europe/Berlin');
    expect(await queue().getJobScheduler('auth~night')).toMatchObject({ tz: 'Europe/Berlin' });
  });

  it('is each service’s own: a process declares and removes that of its services, and leaves the others alone', async () => {
    const tasks = [task('a', 'auth'), task('b', 'dashboard'), task('p', 'platform')];
    await schedule(tasks, ['auth']);
    expect(await scheduled()).toEqual(['auth~a', 'platform~p']);
    await schedule(tasks, ['dashboard']);
    expect(await scheduled()).toEqual(['auth~a', 'dashboard~b', 'platform~p']);
    // The next program has other tasks.
    await schedule([task('a2', 'auth'), task('p', 'platform')], ['auth']);
    expect(await scheduled()).toEqual(['auth~a2', 'dashboard~b', 'platform~p']);
    await schedule([task('p', 'platform')]);
    expect(await scheduled()).toEqual(['platform~p']);
  });

  it('keeps what became due while no worker was there', async () => {
    const runs: Date[] = [];
    const tasks = [
      task('missed', 'auth', {
        run: async ({ now }) => {
          runs.push(now);
          return {};
        },
      }),
    ];
    await schedule(tasks);
    const [due] = await queue().getDelayed();
    await due!.promote();
    await schedule(tasks);
    const worker = await work(tasks);
    try {
      await until('the run', async () => ((await due!.isCompleted()) ? true : undefined));
      expect(runs).toEqual([school.clock.now()]);
      // And the next night is there.
      expect(await queue().getDelayedCount()).toBe(1);
    } finally {
      await worker.close();
    }
  });

  it('is made as soon as there is a school', async () => {
    let isThere = false;
    const declared = await declareTasks(
      { engine: school.engine, tasks: [task('patient', 'auth')] },
      {
        services: [],
        timezone: async () => {
          if (!isThere) throw new Error('there is no school yet');
          return timezone;
        },
        log: school.log,
        retryMs: 1,
      },
    );
    expect(await scheduled()).toEqual([]);
    isThere = true;
    await until('the schedule', async () => ((await scheduled()).length > 0 ? true : undefined));
    await declared.stop();
    expect(await scheduled()).toEqual(['auth~patient']);
  });

  it('gets a next time again when somebody has removed its job', async () => {
    await schedule([task('gone', 'auth')]);
    const [next] = await queue().getDelayed();
    await school.engine.redis.del(queue().toKey(next!.id!));
    await school.engine.redis.zrem(queue().toKey('delayed'), next!.id!);
    await schedule([task('gone', 'auth')]);
    expect(await queue().getDelayed()).toMatchObject([{ name: 'gone' }]);
  });
});

describe('a task', () => {
  it('that fails stops no other; what one did is its job’s result and one line of the log', async () => {
    const tasks = [
      task('bad', 'auth', { run: async () => Promise.reject(new Error('no such table')) }),
      task('good', 'auth', { run: async () => ({ deleted: 3 }) }),
    ];
    const worker = await work(tasks);
    try {
      const bad = await queue().add('bad', { task: 'bad' });
      const good = await queue().add('good', { task: 'good' });
      const unknown = await queue().add('unknown', { task: 'unknown' });
      await until('all of them', async () => {
        const states = await Promise.all([bad, good, unknown].map((job) => job.getState()));
        return states.join() === 'failed,completed,failed' ? true : undefined;
      });
      expect((await queue().getJob(good.id!))!.returnvalue).toEqual({ deleted: 3 });
      expect((await queue().getJob(bad.id!))!.failedReason).toBe('no such table');
      expect((await queue().getJob(unknown.id!))!.failedReason).toContain('unknown');
      const lines = school.log.lines.filter(({ message }) => message === 'scheduled task done');
      expect(lines.filter(({ fields }) => (fields as { task: string }).task === 'good')).toMatchObject([
        { level: 'info', fields: { deleted: 3 } },
      ]);
    } finally {
      await worker.close();
    }
  });

  it('is taken up by another process when its own stops in the middle', async () => {
    let isBegun = false;
    const endless = async ({ progress }: TaskRun) => {
      for (let steps = 1; ; steps++) {
        isBegun = true;
        await progress({ steps });
      }
    };
    const first = await work([task('long', 'auth', { run: endless })]);
    const job = await queue().add('long', { task: 'long' });
    await until('its beginning', async () => (isBegun ? true : undefined));
    await first.close();
    expect(await queue().getJobCounts('active', 'waiting', 'failed')).toEqual({ active: 0, waiting: 1, failed: 0 });
    expect((await queue().getJob(job.id!))!.progress).toHaveProperty('steps');
    const second = await work([task('long', 'auth', { run: async () => ({ steps: 1 }) })]);
    try {
      await until('its end', async () => ((await job.isCompleted()) ? true : undefined));
    } finally {
      await second.close();
    }
  });
});
