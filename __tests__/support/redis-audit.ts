import type { Cluster, Redis } from 'ioredis';
import { HEADER_BYTES, readHeader } from '../../src/buffer/header.ts';
import type { Engine } from '../../src/engine.ts';

const SCAN_COUNT = '1000';

/** Every key whose name holds the prefix, on every node of a cluster. */
export async function prefixKeys(redis: Redis | Cluster, prefix: string): Promise<Buffer[]> {
  const nodes = 'nodes' in redis ? redis.nodes('master') : [redis];
  const found = new Map<string, Buffer>();
  for (const node of nodes) {
    let cursor = '0';
    do {
      const [next, keys] = await node.scanBuffer(cursor, 'MATCH', `*${prefix}*`, 'COUNT', SCAN_COUNT);
      cursor = next.toString();
      for (const key of keys) found.set(key.toString('latin1'), key);
    } while (cursor !== '0');
  }
  return [...found.values()];
}

const DELETE_AT_ONCE = 500;

/** Deletes keys, whatever nodes of a cluster they lie on. */
export async function deleteKeys(redis: Redis | Cluster, keys: readonly Buffer[]): Promise<void> {
  for (let start = 0; start < keys.length; start += DELETE_AT_ONCE) {
    const some = keys.slice(start, start + DELETE_AT_ONCE);
    if ('nodes' in redis) await Promise.all(some.map((key) => redis.del(key)));
    else await redis.del(...some);
  }
}

/** Keys of the buffer proper by their kind: the part after prefix, shard and entity. */
const KIND =
  /^\{\d+\}:(?:(?<entity>[a-z_]+):(?<kind>b|r|w|u|h|dirty|failed)(?::|$)|(?<own>resolved|counters|clock|formats|waiters|events))/;

/**
 * Checks what always holds of the buffer's keys:
 * no data that a database does not have has a TTL (I2); each dirty entry stands in the dirty index; counters add up;
 * every set-aside entry has its record; no key is there that nobody owns.
 *
 * @param redis a connection without auto-pipelining, which cannot send commands by their names
 * @returns one line a broken rule
 */
export async function auditRedis({ keys, registry, buffer }: Engine, redis: Redis | Cluster): Promise<string[]> {
  const problems: string[] = [];
  const entries = new Map<string, { entries: number; raw: number; stored: number }>();
  let waiting = 0;
  for (const key of await prefixKeys(redis, keys.prefix)) {
    const name = key.toString('utf8');
    // Queues, caches and runs keep their own house.
    if (name.startsWith('{') || name.startsWith(`${keys.prefix}:run`)) continue;
    const match = KIND.exec(name.slice(keys.prefix.length));
    if (!match) {
      problems.push(`${name}: nobody's key`);
      continue;
    }
    const { entity, kind, own } = match.groups!;
    const ttl = await redis.pttl(key);
    if (kind === 'w' ? ttl < 0 : kind !== 'u' && ttl !== -1) problems.push(`${name}: TTL is ${ttl} ms`);
    if (kind === 'b') {
      const shard = Number(/^\{(\d+)\}/.exec(name.slice(keys.prefix.length))![1]);
      const bucket = name.slice(name.indexOf(':b:') + 3);
      const flat = (await redis.callBuffer('HGETALL', key)) as Buffer[];
      const sum = entries.get(entity!) ?? { entries: 0, raw: 0, stored: 0 };
      let isDirty = false;
      const parked = new Set<string>();
      const waiters = new Set<string>();
      for (let index = 0; index < flat.length; index += 2) {
        const field = flat[index]!;
        const entry = flat[index + 1]!;
        sum.entries += entry.length >= HEADER_BYTES && readHeader(entry).isBundle ? readHeader(entry).writes : 1;
        sum.stored += entry.length;
        if (entry.length < HEADER_BYTES) continue;
        const header = readHeader(entry);
        sum.raw += header.rawBytes;
        const owner = keys.keyAt(registry.get(entity!), bucket, field);
        if (header.state === 'dirty') isDirty = true;
        else parked.add(owner);
        if (header.state === 'waiting') waiters.add(owner);
      }
      entries.set(entity!, sum);
      waiting += waiters.size;
      const isIndexed = (await redis.zscore(keys.dirty(shard, entity!), bucket)) !== null;
      if (isDirty !== isIndexed) problems.push(`${name}: ${isDirty ? 'dirty but not' : 'not dirty but'} in the index`);
      for (const owner of parked) {
        if ((await redis.hexists(keys.failed(shard, entity!), owner)) === 0)
          problems.push(`${name}: ${owner} is set aside without a record`);
      }
    }
    if (kind === 'failed') {
      for (const owner of await redis.hkeys(key)) {
        const [write] = await buffer.fetch(entity!, [owner]);
        if (!write) problems.push(`${name}: record of ${owner} without its entry`);
        else if (write.state === 'dirty' && registry.get(entity!).kind === 'document')
          problems.push(`${name}: record of ${owner}, which is dirty`);
      }
    }
    if (kind === 'dirty') {
      for (const bucket of await redis.zrange(key, '0', '-1')) {
        const shard = Number(/^\{(\d+)\}/.exec(name.slice(keys.prefix.length))![1]);
        if ((await redis.exists(keys.bucket(shard, entity!, bucket))) === 0)
          problems.push(`${name}: bucket ${bucket} is indexed and empty`);
      }
    }
    if (own === 'counters') waiting -= Number((await redis.hget(key, 'waiting')) ?? 0);
  }
  for (const { entity, entries: counted, rawBytes, storedBytes } of await buffer.stats()) {
    const { entries: count, raw, stored } = entries.get(entity) ?? { entries: 0, raw: 0, stored: 0 };
    if (counted !== count) problems.push(`${entity}: ${count} entries, counted ${counted}`);
    if (rawBytes !== raw) problems.push(`${entity}: ${raw} raw bytes, counted ${rawBytes}`);
    if (storedBytes !== stored) problems.push(`${entity}: ${stored} stored bytes, counted ${storedBytes}`);
  }
  if (waiting !== 0) problems.push(`waiting entries and their counter differ by ${waiting}`);
  return problems;
}
