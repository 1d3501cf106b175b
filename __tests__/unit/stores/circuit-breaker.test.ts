import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { classifyPostgresError } from '../../../src/errors/driver-errors.ts';
import { CircuitBreaker, StoreUnavailableError } from '../../../src/stores/circuit-breaker.ts';

const down = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const badRow = Object.assign(new Error('null value'), { code: '23502' });

describe('circuit breaker', () => {
  let isUp: boolean;
  let probes: number;
  let changes: boolean[];
  let breaker: CircuitBreaker;
  const work = vi.fn(async () => {
    if (!isUp) throw down;
    return 'done';
  });

  beforeEach(() => {
    vi.useFakeTimers();
    isUp = true;
    probes = 0;
    changes = [];
    work.mockClear();
    breaker = new CircuitBreaker(
      'postgres',
      async () => {
        probes++;
        if (!isUp) throw down;
      },
      classifyPostgresError,
      (isOpen) => changes.push(isOpen),
    );
  });
  afterEach(() => {
    breaker.close();
    vi.useRealTimers();
  });

  it('lets results and the errors of rows through', async () => {
    await expect(breaker.call(work)).resolves.toBe('done');
    await expect(breaker.call(() => Promise.reject(badRow))).rejects.toBe(badRow);
    expect(changes).toEqual([]);
  });

  it('opens at the first sign of an outage and refuses without trying', async () => {
    isUp = false;
    await expect(breaker.call(work)).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(breaker.call(work)).rejects.toBeInstanceOf(StoreUnavailableError);
    expect(work).toHaveBeenCalledTimes(1);
    expect(changes).toEqual([true]);
  });

  it('probes with growing waits, closes when the store answers, and tells once', async () => {
    isUp = false;
    await breaker.call(work).catch(() => {});
    await vi.advanceTimersByTimeAsync(500);
    expect(probes).toBe(1);
    await vi.advanceTimersByTimeAsync(999);
    expect(probes).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(probes).toBe(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes).toBeLessThan(20);
    isUp = true;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(changes).toEqual([true, false]);
    await expect(breaker.call(work)).resolves.toBe('done');
  });

  it('calls that fail together open it once', async () => {
    isUp = false;
    await Promise.all([1, 2, 3].map(() => breaker.call(work).catch(() => {})));
    expect(changes).toEqual([true]);
    await vi.advanceTimersByTimeAsync(500);
    expect(probes).toBe(1);
  });

  it('stops probing when it is closed down', async () => {
    isUp = false;
    await breaker.call(work).catch(() => {});
    breaker.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probes).toBe(0);
  });
});
