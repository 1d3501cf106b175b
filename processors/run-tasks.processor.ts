import { type Job, WaitingError } from 'bullmq';
import type { RunTaskData } from '../queues/run-tasks.queue.ts';
import type { Clock } from '../src/lib/clock.ts';
import type { Log } from '../src/lib/log.ts';
import type { ScheduledTask, TaskResult } from '../src/lib/scheduled-task.ts';

/**
 * Runs the task that a job names; what it did is the job's result, and one line of the log.
 *
 * @param isStopping asked between the steps of a run: what is left of it is another process' then
 */
export const createTaskProcessor = (
  { tasks, clock, log }: { tasks: readonly ScheduledTask[]; clock: Clock; log: Log },
  isStopping: () => boolean = () => false,
) => {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  return async (job: Job<RunTaskData, TaskResult>, token?: string): Promise<TaskResult> => {
    const task = byName.get(job.data.task);
    // Declared by a newer program: one of its workers may be there at the next attempt.
    if (!task) throw new Error(`there is no task ${job.data.task} here`);
    const startedMs = performance.now();
    const result = await task.run({
      now: clock.now(),
      async progress(done) {
        await job.updateProgress({ ...done });
        if (!isStopping()) return;
        await job.moveToWait(token);
        throw new WaitingError();
      },
    });
    // What runs each minute is news only when it has found something.
    const isNews = 'at' in task.schedule || Object.values(result).some((count) => count > 0);
    const fields = { task: task.name, jobId: job.id, durationMs: Math.round(performance.now() - startedMs), ...result };
    log[isNews ? 'info' : 'debug']('scheduled task done', fields);
    return result;
  };
};
