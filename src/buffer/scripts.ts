import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

type Argument = string | number | Buffer;

/** ioredis adds defined commands at run time, so its type does not know them. */
type DefinedCommands = Record<string, (...args: Argument[]) => Promise<unknown>>;

const read = (name: string): string => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');

/** Name of the put script in the client. */
export const COMMIT_COMMAND = 'buffer_put';

/**
 * The buffer's Lua scripts: each touches one shard, so each is one round trip on one node. What a script does, its
 * KEYS, ARGV and result stand at the top of its file in `lua/`.
 */
export class BufferScripts {
  readonly #commands: DefinedCommands;

  constructor(redis: Redis) {
    this.#commands = redis as unknown as DefinedCommands;
    const header = read('header');
    for (const name of ['put', 'acknowledge', 'park', 'collect']) {
      redis.defineCommand(`buffer_${name}`, { lua: `${header}\n${read(name)}` });
    }
    redis.defineCommand('buffer_entries', {
      lua: "return redis.call('HGETALL', KEYS[1])",
      numberOfKeys: 1,
      readOnly: true,
    });
    redis.defineCommand('buffer_amend', { lua: read('amend'), numberOfKeys: 1 });
    redis.defineCommand('buffer_release', { lua: read('release'), numberOfKeys: 1 });
    redis.defineCommand('buffer_reserve', { lua: read('reserve'), numberOfKeys: 1 });
  }

  put(keys: readonly string[], args: readonly Argument[]): Promise<number[]> {
    return this.#call(COMMIT_COMMAND, keys, args) as Promise<number[]>;
  }

  acknowledge(keys: readonly string[], args: readonly Argument[]): Promise<[cleared: number, waiting: number]> {
    return this.#call('buffer_acknowledge', keys, args) as Promise<[number, number]>;
  }

  park(keys: readonly string[], args: readonly Argument[]): Promise<number> {
    return this.#call('buffer_park', keys, args) as Promise<number>;
  }

  collect(keys: readonly string[]): Promise<Buffer[][]> {
    return this.#call('buffer_collectBuffer', keys, []) as Promise<Buffer[][]>;
  }

  /** Fields and entries of a bucket in turn. The client's own HGETALL makes texts of the fields, which are binary. */
  entries(key: string): Promise<Buffer[]> {
    return this.#commands.buffer_entriesBuffer!(key) as Promise<Buffer[]>;
  }

  amend(key: string, writeKey: string, version: number, record: string): Promise<0 | 1> {
    return this.#commands.buffer_amend!(key, writeKey, version, record) as Promise<0 | 1>;
  }

  reserve(key: string, owner: string, ttlSeconds: number): Promise<0 | 1 | 2> {
    return this.#commands.buffer_reserve!(key, owner, ttlSeconds) as Promise<0 | 1 | 2>;
  }

  release(key: string, owner: string, isProvisionalOnly: boolean): Promise<0 | 1> {
    return this.#commands.buffer_release!(key, owner, isProvisionalOnly ? 1 : 0) as Promise<0 | 1>;
  }

  #call(name: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#commands[name]!(keys.length, ...keys, ...args);
  }
}
