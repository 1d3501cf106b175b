/** What a run did, by name, such as `{ deleted: 1200 }`. It is shown to admins and logged: numbers only. */
export type TaskResult = Readonly<Record<string, number>>;

export interface TaskRun {
  now: Date;
  /**
   * Says how far a run is; long ones do so after each step, with nothing half done. It does not come back when the process
   * stops: another process then takes the task up from its beginning.
   */
  progress(done: TaskResult): Promise<void>;
}

/** Each day at a time of the school's clock, `HH:MM`, or again and again. */
export type Schedule = { at: string } | { everyMs: number };

/**
 * Work that the clock starts, once for the whole school, whatever number of workers there is. It is declared by the service
 * that owns what it works on, and run by workers; to run it twice must be harmless.
 */
export interface ScheduledTask {
  /** Its schedule and its jobs are known by it. */
  name: string;
  /** SERVICES chooses by this name; those of `platform` are everybody's. */
  service: string;
  schedule: Schedule;
  run(run: TaskRun): Promise<TaskResult>;
}

/** What all services stand on: its tasks are declared wherever workers are. */
export const PLATFORM = 'platform';

/** DOMAIN §6: when the school sleeps, after the tasks that count. */
const PURGE_AT = '03:00';

/** What a service clears away each night. @param what names it: `purge.<what>` */
export const nightlyPurge = (
  service: string,
  what: string,
  owner: { purge(run: TaskRun): Promise<TaskResult> },
): ScheduledTask => ({
  name: `purge.${what}`,
  service,
  schedule: { at: PURGE_AT },
  run: (run) => owner.purge(run),
});
