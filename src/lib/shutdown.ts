import type { Log } from './log.ts';

interface Step {
  name: string;
  run: () => Promise<unknown>;
}

/** From SIGTERM to exit (I10). */
const DEADLINE_MS = 30_000;
/** Left for the log lines of a stop that ran out of time. */
const RESERVE_MS = 1_000;

/**
 * An orderly stop: steps run one after another in the order they were added, each logged; one that fails does not keep the
 * others from running. Ends the process: 0 when all went well, 1 when a step failed or time ran out.
 */
export class Shutdown {
  readonly #log: Log;
  readonly #steps: Step[] = [];
  #isRunning = false;

  constructor(log: Log) {
    this.#log = log;
  }

  add(name: string, run: () => Promise<unknown>): void {
    this.#steps.push({ name, run });
  }

  /** Starts the stop at SIGTERM and SIGINT. */
  listen(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void this.run(signal));
  }

  async run(reason: string): Promise<never | undefined> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#log.info('stopping', { reason });
    const timer = setTimeout(() => {
      this.#log.error('stop ran out of time', { steps: this.#steps.map(({ name }) => name) });
      process.exit(1);
    }, DEADLINE_MS - RESERVE_MS);
    timer.unref();
    let code = 0;
    for (const { name, run } of this.#steps) {
      const startedMs = Date.now();
      try {
        await run();
        this.#log.info('stopped', { step: name, durationMs: Date.now() - startedMs });
      } catch (error) {
        code = 1;
        this.#log.error('stop step failed', { step: name, error: (error as Error).message });
      }
    }
    process.exit(code);
  }
}
