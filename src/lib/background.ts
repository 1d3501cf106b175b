import type { Log } from './log.ts';

/** Work that no answer waits for; the end of the process does. */
export class Background {
  readonly #running = new Set<Promise<void>>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param name says in the log what failed */
  start(name: string, work: () => Promise<unknown>, fields: object = {}): void {
    const running = work()
      .then(
        () => {},
        (error: unknown) => void this.#log.error(`${name} failed`, { ...fields, error }),
      )
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when all that was started is over. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
