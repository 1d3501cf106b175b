import { describe, expect, it, vi } from 'vitest';
import { Shutdown } from '../../../src/lib/shutdown.ts';
import { createTestLog } from '../../support/harness.ts';

function createStop(deadlineMs?: number) {
  const log = createTestLog();
  const codes: number[] = [];
  const done: string[] = [];
  const stop = new Shutdown({
    log,
    exit: (code) => void codes.push(code),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  return { stop, log, codes, done };
}

describe('I10: ordered stop', () => {
  it('runs one step after the other and exits 0', async () => {
    const { stop, codes, done } = createStop();
    stop.add('http', async () => {
      await Promise.resolve();
      done.push('http');
    });
    stop.add('stores', () => void done.push('stores'));
    expect(stop.isRunning).toBe(false);
    await stop.run('SIGTERM');
    expect({ done, codes, isRunning: stop.isRunning }).toEqual({
      done: ['http', 'stores'],
      codes: [0],
      isRunning: true,
    });
  });

  it('a step that fails is logged, keeps no later one from running and makes the exit code 1', async () => {
    const { stop, log, codes, done } = createStop();
    stop.add('queues', () => {
      throw new Error('connection lost');
    });
    stop.add('stores', () => void done.push('stores'));
    await stop.run('SIGTERM');
    expect({ done, codes }).toEqual({ done: ['stores'], codes: [1] });
    expect(log.lines.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { step: 'queues' } }]);
  });

  it('stops once, however many signals come', async () => {
    const { stop, codes, done } = createStop();
    stop.add('http', () => void done.push('http'));
    await Promise.all([stop.run('SIGTERM'), stop.run('SIGINT'), stop.run('SIGTERM')]);
    expect({ done, codes }).toEqual({ done: ['http'], codes: [0] });
  });

  it('exits 1 at the deadline and says which step it was', async () => {
    vi.useFakeTimers();
    try {
      const { stop, log, codes } = createStop();
      stop.add('http', () => {});
      stop.add('batches', () => new Promise(() => {}));
      void stop.run('SIGTERM');
      await vi.advanceTimersByTimeAsync(29_999);
      expect(codes).toEqual([]);
      await vi.advanceTimersByTimeAsync(1);
      expect(codes).toEqual([1]);
      expect(log.lines.at(-1)).toMatchObject({ level: 'error', fields: { step: 'batches', deadlineMs: 30_000 } });
    } finally {
      vi.useRealTimers();
    }
  });
});
