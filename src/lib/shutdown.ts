import type { Log } from './log.ts';

export interface ShutdownOptions {
  log: Log;
  /** All steps together; then the process ends whatever is left. */
  deadlineMs?: number;
  exit?: (code: number) => void;
}

/** DESIGN I10 */
const DEADLINE_MS = 30_000;

/** Stops a process in order: named steps, one after the other, in the order they were added. */
export class Shutdown {
  readonly #steps: { name: string; run: () => unknown }[] = [];
  readonly #log: Log;
  readonly #deadlineMs: number;
  readonly #exit: (code: number) => void;
  #running: Promise<void> | undefined;

  constructor({ log, deadlineMs = DEADLINE_MS, exit = (code) => process.exit(code) }: ShutdownOptions) {
    this.#log = log;
    this.#deadlineMs = deadlineMs;
    this.#exit = exit;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** A step that fails is logged, makes the exit code 1 and does not keep the later ones from running. */
  add(name: string, run: () => unknown): this {
    this.#steps.push({ name, run });
    return this;
  }

  /** Runs the steps at SIGTERM and SIGINT; an unexpected error ends the process the same way, with code 1. */
  listen(): this {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.run(signal));
    const onCrash = (what: string) => (error: unknown) => {
      this.#log.error(what, { error });
      void this.run(what, 1);
    };
    process.on('uncaughtException', onCrash('uncaught exception'));
    process.on('unhandledRejection', onCrash('unhandled rejection'));
    return this;
  }

  /** Exits with the code when all steps are through, or with 1 at the deadline. Later calls join the first. */
  run(reason: string, code = 0): Promise<void> {
    this.#running ??= this.#runSteps(reason, code);
    return this.#running;
  }

  async #runSteps(reason: string, code: number): Promise<void> {
    const startedMs = performance.now();
    const elapsedMs = (sinceMs: number): number => Math.round(performance.now() - sinceMs);
    this.#log.info('stopping', { reason, steps: this.#steps.map(({ name }) => name) });
    let current = '';
    let exitCode = code;
    const deadline = setTimeout(() => {
      this.#log.error('stop took too long', { step: current, deadlineMs: this.#deadlineMs });
      this.#exit(1);
    }, this.#deadlineMs);
    for (const { name, run } of this.#steps) {
      current = name;
      const stepMs = performance.now();
      try {
        await run();
        this.#log.info('stopped', { step: name, durationMs: elapsedMs(stepMs) });
      } catch (error) {
        exitCode = 1;
        this.#log.error('step failed', { step: name, error });
      }
    }
    clearTimeout(deadline);
    this.#log.info('bye', { durationMs: elapsedMs(startedMs), exitCode });
    this.#exit(exitCode);
  }
}
