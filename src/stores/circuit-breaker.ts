import type { DriverErrorKind } from '../errors/driver-errors.ts';

export class StoreUnavailableError extends Error {
  override name = 'StoreUnavailableError';
  readonly store: string;

  constructor(store: string, cause?: unknown) {
    super(`${store} is unavailable`, { cause });
    this.store = store;
  }
}

/** First and longest wait between two probes of a database that is down. */
const PROBE_FIRST_MS = 500;
const PROBE_MOST_MS = 5_000;

/**
 * Stops batches from trying a database that is down, so that an outage costs no attempts.
 *
 *   closed -> (an `unavailable` error) open: calls are refused at once, a probe runs with growing waits
 *   open -> (the probe succeeds) closed, listeners are told
 */
export class CircuitBreaker {
  readonly store: string;
  readonly #probe: () => Promise<void>;
  readonly #classify: (error: unknown) => DriverErrorKind;
  readonly #onChange: (isOpen: boolean, cause?: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;
  #isClosed = false;

  constructor(
    store: string,
    probe: () => Promise<void>,
    classify: (error: unknown) => DriverErrorKind,
    onChange: (isOpen: boolean, cause?: unknown) => void,
  ) {
    this.store = store;
    this.#probe = probe;
    this.#classify = classify;
    this.#onChange = onChange;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws StoreUnavailableError while the store is down, or when this call finds it down */
  async call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isOpen) throw new StoreUnavailableError(this.store);
    try {
      return await work();
    } catch (error) {
      if (this.#classify(error) !== 'unavailable') throw error;
      this.#open(error);
      throw new StoreUnavailableError(this.store, error);
    }
  }

  /** Ends the probe; for an orderly stop. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #open(cause: unknown): void {
    if (this.#isOpen || this.#isClosed) return;
    this.#isOpen = true;
    this.#onChange(true, cause);
    this.#schedule(PROBE_FIRST_MS);
  }

  #schedule(waitMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(async () => {
      try {
        await this.#probe();
      } catch {
        this.#schedule(Math.min(waitMs * 2, PROBE_MOST_MS));
        return;
      }
      this.#isOpen = false;
      if (!this.#isClosed) this.#onChange(false);
    }, waitMs);
    this.#timer.unref();
  }
}
