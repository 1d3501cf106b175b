import type { JobsOptions, Queue } from 'bullmq';
import { PLATFORM, type Schedule, type ScheduledTask, type TaskResult } from '../src/lib/scheduled-task.ts';

export const RUN_TASKS = 'run-tasks';

/** Names the task that is due. */
export interface RunTaskData {
  task: string;
}

type TaskQueue = Queue<RunTaskData, TaskResult>;

const dailyOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 60_000, jitter: 0.5 }, // delay in ms
  // What is due each minute goes first: the night's tasks may take long.
  priority: 1,
  removeOnComplete: { age: 604_800, count: 1_000 },
  removeOnFail: { age: 1_209_600 },
} satisfies JobsOptions;

/** The next time comes soon: that is the retry. */
const frequentOptions = {
  attempts: 1,
  removeOnComplete: { age: 3_600, count: 100 },
  removeOnFail: { age: 86_400, count: 100 },
} satisfies JobsOptions;

/** The service comes first, so that each process knows which schedules are its own. */
const SEPARATOR = '~';
const schedulerId = ({ service, name }: ScheduledTask): string => `${service}${SEPARATOR}${name}`;
const serviceOf = (id: string): string => id.split(SEPARATOR, 1)[0]!;

/** Tasks of these services; none named means all. */
export const tasksOf = (tasks: readonly ScheduledTask[], services: readonly string[]): ScheduledTask[] =>
  tasks.filter(({ service }) => isOf(service, services));

const isOf = (service: string, services: readonly string[]): boolean =>
  services.length === 0 || service === PLATFORM || services.includes(service);

/**
 * Makes the schedules of some services what their tasks declare: missing ones are made, changed ones changed, those of a task
 * that is no more removed. Schedules of other services are left to their processes. A schedule that is as it should be is not
 * touched: BullMQ would throw away what is due and was not run yet.
 *
 * @param tasks all there are
 * @param services those of this process; none means all
 * @param timezone of the school, an IANA name
 */
export async function scheduleTasks(
  queue: TaskQueue,
  tasks: readonly ScheduledTask[],
  { services, timezone }: { services: readonly string[]; timezone: string },
): Promise<void> {
  const wanted = new Map(tasksOf(tasks, services).map((task) => [schedulerId(task), task]));
  const present = new Map((await queue.getJobSchedulers()).map((scheduler) => [scheduler.key, scheduler]));
  for (const id of present.keys())
    if (!wanted.has(id) && isOf(serviceOf(id), services)) await queue.removeJobScheduler(id);
  for (const [id, { name, schedule }] of wanted) {
    const repeat = repeatOf(schedule, timezone);
    if (await isScheduled(queue, present.get(id), repeat)) continue;
    const opts = 'at' in schedule ? dailyOptions : frequentOptions;
    await queue.upsertJobScheduler(id, repeat, { name, data: { task: name }, opts });
  }
}

function repeatOf(schedule: Schedule, timezone: string): { pattern: string; tz: string } | { every: number } {
  if ('everyMs' in schedule) return { every: schedule.everyMs };
  const [hour, minute] = schedule.at.split(':').map(Number);
  return { pattern: `${minute} ${hour} * * *`, tz: timezone };
}

/** Whether a schedule has this rhythm, and its next job is there: an admin may have removed it. */
async function isScheduled(
  queue: TaskQueue,
  present: Awaited<ReturnType<TaskQueue['getJobScheduler']>>,
  repeat: { pattern?: string; tz?: string; every?: number },
): Promise<boolean> {
  if (!present || present.pattern !== repeat.pattern || present.tz !== repeat.tz || present.every !== repeat.every)
    return false;
  return (await queue.getJob(`repeat:${present.key}:${present.next}`)) !== undefined;
}
