import { describe, expect, it } from 'vitest';
import { type BufferWrite, GroupCommit } from '../../../src/buffer/group-commit.ts';
import type { BufferScripts } from '../../../src/buffer/scripts.ts';

const write = (key: string, payloadBytes = 10): BufferWrite => ({
  entity: 'club',
  key,
  bucketKey: 'b',
  dirtyKey: 'd',
  failedKey: 'f',
  bucket: '1',
  base: 0,
  relationKeys: [],
  relationMember: Buffer.from(key),
  entries: [{ field: Buffer.from(key), prefix: Buffer.alloc(4), payload: Buffer.alloc(payloadBytes), rawBytes: 10 }],
});

/** Answers each commit when it is told to; how writes are grouped is decided before Redis. */
function createGate() {
  const commits: { writes: number; resolve(results: number[]): void; reject(error: Error): void }[] = [];
  const committed: string[][] = [];
  const scripts = {
    put: (_keys: readonly string[], [packed]: readonly Buffer[]) =>
      new Promise<number[]>((resolve, reject) => commits.push({ writes: packed!.length, resolve, reject })),
  } as unknown as BufferScripts;
  const group = new GroupCommit(scripts, ['clock', 'counters', 'resolved', 'events'], 'channel', (writes) =>
    committed.push(writes.map(({ key }) => key)),
  );
  return { group, commits, committed };
}
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const oneMore = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

describe('group commit', () => {
  it('writes that come while as many as may be are on their way go together in the next, in order', async () => {
    const { group, commits, committed } = createGate();
    const first: Promise<number>[] = [];
    for (const key of ['1', '2', '3']) {
      first.push(group.put(write(key)));
      await oneMore();
    }
    expect(commits).toHaveLength(3);
    const rest = ['b', 'c', 'd'].map((key) => group.put(write(key)));
    await oneMore();
    expect(commits).toHaveLength(3);
    commits[0]!.resolve([1]);
    expect(await first[0]).toBe(1);
    await oneMore();
    expect(commits).toHaveLength(4);
    commits[3]!.resolve([5, 6, 7]);
    expect(await Promise.all(rest)).toEqual([5, 6, 7]);
    expect(committed).toEqual([['1'], ['b', 'c', 'd']]);
  });

  it('what comes in one turn of the event loop goes in one commit', async () => {
    const { group, commits, committed } = createGate();
    const all = ['a', 'b', 'c'].map((key) => group.put(write(key)));
    await oneMore();
    expect(commits).toHaveLength(1);
    commits[0]!.resolve([1, 2, 3]);
    await Promise.all(all);
    expect(committed).toEqual([['a', 'b', 'c']]);
  });

  it('a refused write gets its own answer, and is not announced', async () => {
    const { group, commits, committed } = createGate();
    const all = ['a', 'b', 'c'].map((key) => group.put(write(key)));
    await oneMore();
    commits[0]!.resolve([5, -4, 6]);
    expect(await Promise.all(all)).toEqual([5, -4, 6]);
    expect(committed).toEqual([['a', 'c']]);
  });

  it('a commit that fails fails its writes alone', async () => {
    const { group, commits, committed } = createGate();
    const lost = group.put(write('a'));
    await oneMore();
    const kept = group.put(write('b'));
    commits[0]!.reject(new Error('connection lost'));
    await expect(lost).rejects.toThrow('connection lost');
    await oneMore();
    commits[1]!.resolve([7]);
    expect(await kept).toBe(7);
    expect(committed).toEqual([['b']]);
  });

  it('bounds a commit by number and by bytes; one large write goes alone', async () => {
    const { group, commits } = createGate();
    const many = Array.from({ length: 130 }, (_, index) => group.put(write(`k${index}`)));
    await oneMore();
    commits[0]!.resolve(Array.from({ length: 128 }, (_, index) => index + 1));
    await nextTurn();
    commits[1]!.resolve([129, 130]);
    expect((await Promise.all(many)).at(-1)).toBe(130);
    const large = [2_000_000, 10, 10].map((bytes, index) => group.put(write(`l${index}`, bytes)));
    await oneMore();
    commits[2]!.resolve([131]);
    await nextTurn();
    commits[3]!.resolve([132, 133]);
    expect(await Promise.all(large)).toEqual([131, 132, 133]);
  });

  it('drains: resolves when nothing waits and nothing is on its way', async () => {
    const { group, commits } = createGate();
    await group.drain();
    let isDrained = false;
    const written = group.put(write('a'));
    const drained = group.drain().then(() => {
      isDrained = true;
    });
    await oneMore();
    expect(isDrained).toBe(false);
    commits[0]!.resolve([1]);
    await Promise.all([written, drained]);
    expect(isDrained).toBe(true);
  });

  it('asks for a write when its commit is put together; one that takes longer comes in a later commit', async () => {
    const { group, commits, committed } = createGate();
    let made = '';
    let finish: (write: BufferWrite) => void = () => {};
    const results = [
      group.put(() => {
        made = 'joined';
        return write('a');
      }),
      group.put(() => new Promise<BufferWrite>((resolve) => (finish = resolve))),
      group.put(write('c')),
    ];
    const drained = group.drain();
    expect(made).toBe('');
    await oneMore();
    expect([made, commits.length]).toEqual(['joined', 1]);
    commits[0]!.resolve([1, 3]);
    await oneMore();
    expect(committed).toEqual([['a', 'c']]);
    finish(write('b'));
    await oneMore();
    await oneMore();
    commits[1]!.resolve([2]);
    expect(await Promise.all(results)).toEqual([1, 2, 3]);
    await drained;
  });

  it('a write that cannot be made fails alone', async () => {
    const { group, commits } = createGate();
    const bad = group.put(() => {
      throw new Error('cannot be made');
    });
    const late = group.put(() => Promise.reject(new Error('could not be made')));
    const good = group.put(write('a'));
    const outcomes = Promise.allSettled([bad, late]);
    await oneMore();
    commits[0]!.resolve([1]);
    expect(await good).toBe(1);
    expect((await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason.message)).toEqual([
      'cannot be made',
      'could not be made',
    ]);
    await group.drain();
  });
});
