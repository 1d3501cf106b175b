import { setTimeout as delay } from 'node:timers/promises';
import type { WriteBuffer } from '../../src/buffer/write-buffer.ts';
import { type Document, type EntityDefinition, keyOf } from '../../src/lib/entity.ts';
import { namedId } from '../../src/lib/ids.ts';
import { type Acknowledged, hashOf } from './oracle.ts';
import {
  buildClub,
  buildClubMember,
  buildEvent,
  buildScan,
  clubEntity,
  clubMemberEntity,
  eventLogEntity,
  scanEntity,
} from './test-entities.ts';

/** Numbers that follow from a seed (mulberry32), so that a run can be repeated. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface LoadOptions {
  seed: number;
  /** Different clients write different keys when their names differ, the same ones when not. */
  name?: string;
  clubs?: number;
  /** Writes under way at a time. */
  clients?: number;
  /** Pause of a client after each write, ms. */
  pauseMs?: number;
  onAcknowledged: (write: Acknowledged) => void;
  onRefused?: (error: Error) => void;
}

/** A steady stream of writes: new ones, changes, deletions and returns of clubs, members, events and scans. */
export class Load {
  readonly #buffer: WriteBuffer;
  readonly #options: Required<Omit<LoadOptions, 'onRefused'>> & Pick<LoadOptions, 'onRefused'>;
  readonly #next: () => number;
  #running: Promise<unknown> | undefined;
  #isStopping = false;
  #serial = 0;

  constructor(buffer: WriteBuffer, options: LoadOptions) {
    this.#buffer = buffer;
    this.#options = { name: 'load', clubs: 40, clients: 8, pauseMs: 1, ...options };
    this.#next = random(options.seed);
  }

  start(): this {
    this.#running = Promise.all(Array.from({ length: this.#options.clients }, () => this.#client()));
    return this;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #client(): Promise<void> {
    while (!this.#isStopping) {
      const { entity, document, isDeleted } = this.#pick();
      try {
        const { version } = await this.#buffer.put(entity.name, document, { isTombstone: isDeleted });
        this.#options.onAcknowledged({
          entity: entity.name,
          key: keyOf(entity, document),
          version,
          hash: hashOf(document),
          isDeleted,
        });
      } catch (error) {
        this.#options.onRefused?.(error as Error);
      }
      await delay(this.#options.pauseMs);
    }
  }

  #pick(): { entity: EntityDefinition; document: Document; isDeleted: boolean } {
    const { name, clubs } = this.#options;
    const what = this.#next();
    const clubId = namedId('load', name, Math.floor(this.#next() * clubs));
    const serial = this.#serial++;
    if (what < 0.15)
      return {
        entity: eventLogEntity,
        document: buildEvent({ id: namedId('load', name, 'event', serial), what: `event ${serial}`, data: { serial } }),
        isDeleted: false,
      };
    if (what < 0.25)
      return {
        entity: scanEntity,
        document: buildScan({ id: namedId('load', name, 'scan', serial), note: `scan ${serial}`, data: { serial } }),
        isDeleted: false,
      };
    const isDeleted = this.#next() < 0.1;
    if (what < 0.55) {
      const person = namedId('load', 'person', Math.floor(this.#next() * 5));
      return {
        entity: clubMemberEntity,
        document: buildClubMember(clubId, { person_id: person, note: `note ${serial}` }),
        isDeleted,
      };
    }
    const club = buildClub({
      id: clubId,
      name: `${clubId.slice(0, 18)} ${name}`.slice(0, 40),
      size: serial,
      tags: { serial },
    });
    return { entity: clubEntity, document: club, isDeleted };
  }
}
