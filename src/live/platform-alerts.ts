import type { Redis } from 'ioredis';
import type { BufferKeys } from '../buffer/keys.ts';
import type { DomainEvent, EventName } from '../lib/events.ts';
import { namedId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { EventLog } from './event-log.ts';

/** Payload of `platform.flush.failed`. */
export interface FlushFailed {
  entity: string;
  /** The first write of the hour that failed; there may be more. */
  key: string;
  /** SQLSTATE, MongoDB code or a rule's code. */
  error: string;
  /** UTC, `2025-09-10T08` */
  hour: string;
}

/** Payload of `platform.flush.repaired` and `platform.flush.discarded`: by an admin, one write each. */
export interface FlushChanged {
  entity: string;
  key: string;
}

/** Payload of `platform.buffer.stalled`. */
export interface BufferStalled {
  entity: string;
  /** Of the oldest write that no database has. */
  age_seconds: number;
  /** School date. */
  day: string;
}

/** Longer than any period that an alert is for. */
const KEPT_SECONDS = 2 * 86_400;

/**
 * Says what an admin should look at, once for an entity and a period, however many writes or processes it is about. The id of an
 * event follows from these, so that one that is sent twice is handled once.
 */
export class PlatformAlerts {
  readonly #deps: { redis: Redis; keys: BufferKeys; eventLog: EventLog; log: Log };
  /** What this process knows to be said: the hour of each entity. */
  readonly #hours = new Map<string, string>();

  constructor(deps: { redis: Redis; keys: BufferKeys; eventLog: EventLog; log: Log }) {
    this.#deps = deps;
  }

  /** A write is set aside. Never throws: that is done, and an admin finds it without being told. */
  async writeFailed({ entity, key, error }: Omit<FlushFailed, 'hour'>, nowMs: number): Promise<void> {
    const hour = new Date(nowMs).toISOString().slice(0, 13);
    if (this.#hours.get(entity) === hour) return;
    try {
      const payload: FlushFailed = { entity, key, error, hour };
      await this.#say('platform.flush.failed', entity, hour, { ...payload }, nowMs);
      this.#hours.set(entity, hour);
    } catch (cause) {
      this.#deps.log.warn('nobody is told of a failed write', { entity, key, error: cause });
    }
  }

  /** Writes wait for longer than was promised. @returns false when that was said already */
  stalled(payload: BufferStalled, nowMs: number): Promise<boolean> {
    return this.#say('platform.buffer.stalled', payload.entity, payload.day, { ...payload }, nowMs);
  }

  async #say(
    name: EventName,
    entity: string,
    period: string,
    payload: DomainEvent['payload'],
    nowMs: number,
  ): Promise<boolean> {
    const { redis, keys, eventLog } = this.#deps;
    const mark = keys.cache(`alert:${name}:${entity}:${period}`);
    if ((await redis.exists(mark)) === 1) return false;
    await eventLog.append([
      {
        id: namedId(name, entity, period),
        name,
        v: 1,
        at: new Date(nowMs).toISOString(),
        actorId: null,
        requestId: null,
        aggregateId: entity,
        payload,
      },
    ]);
    // Afterwards: a crash in between says it once more, under the same id.
    await redis.set(mark, '1', 'EX', KEPT_SECONDS);
    return true;
  }
}
