import type { BatchNews } from '../buffer/batch-writer.ts';
import type { BufferKeys } from '../buffer/keys.ts';
import type { WriteState, WriteStates } from '../buffer/write-states.ts';
import { type Receipt, writeId } from '../lib/write-receipt.ts';
import type { Channels } from './channels.ts';

/** What became of one acknowledged write. */
export interface WriteNote {
  id: string;
  entity: string;
  version: number;
  state: WriteState;
  database: 'postgres' | 'mongo';
}

type Told = (note: WriteNote) => void;

interface Follower {
  receipt: Receipt;
  database: 'postgres' | 'mongo';
  /** The last that it was told. */
  state?: WriteState;
  tell: Told;
}

/** As it is published: short, since a batch may hold hundreds of keys. */
interface Message {
  e: string;
  s: (string | number)[];
  f: (string | number)[];
}

/** What `follow` hands back. */
export interface Following {
  end(): void;
  look(): Promise<void>;
}

export class UnknownWriteError extends Error {
  override name = 'UnknownWriteError';
  readonly receipt: Receipt;

  constructor(receipt: Receipt) {
    super(`${writeId(receipt)} cannot be a write`);
    this.receipt = receipt;
  }
}

const isFinal = (state: WriteState | undefined): boolean => state === 'stored' || state === 'discarded';

/** Still on its way: a newer write that replaced it stands for it. */
const ON_ITS_WAY = new Set<WriteState>(['buffered', 'superseded']);

/**
 * Tells clients what became of their writes. Whoever stores a batch publishes its keys once; processes hear of it only while one
 * of their clients follows a write.
 */
export class WriteNews {
  readonly #channels: Channels;
  readonly #channel: string;
  readonly #states: WriteStates;
  readonly #followers = new Map<string, Set<Follower>>();
  /** The channel is heard while somebody follows, once for all of them. */
  #listening: Promise<() => void> | undefined;
  #joined = 0;

  constructor(deps: { channels: Channels; keys: BufferKeys; states: WriteStates }) {
    this.#channels = deps.channels;
    this.#channel = deps.keys.channel('writes');
    this.#states = deps.states;
  }

  /** One message, without waiting for it: a client that misses it looks by itself a little later. */
  announce({ entity, stored, failed }: BatchNews): void {
    if (stored.length === 0 && failed.length === 0) return;
    const pairs = (receipts: readonly Receipt[]) => receipts.flatMap(({ key, version }) => [key, version]);
    const message: Message = { e: entity, s: pairs(stored), f: pairs(failed) };
    void this.#channels.publish(this.#channel, JSON.stringify(message));
  }

  /**
   * Follows writes until they are stored; what is so already is told before this resolves.
   *
   * @param tell called with each change: stored or discarded, which is the last, or failed or waiting
   * @returns what ends it, and what looks again, for messages that were lost
   * @throws UnknownWriteError for what cannot be a write
   */
  async follow(receipts: readonly Receipt[], tell: Told): Promise<Following> {
    const followers = receipts.map((receipt): Follower => {
      const database = this.#states.databaseOf(receipt);
      if (!database) throw new UnknownWriteError(receipt);
      return { receipt, database, tell };
    });
    // Heard first, then looked at: what is stored in between is told by either.
    await this.#join();
    for (const follower of followers) this.#add(follower);
    const look = async () => {
      await Promise.all(followers.map((follower) => this.#look(follower)));
    };
    const end = () => {
      for (const follower of followers) this.#remove(follower);
      this.#leave();
    };
    try {
      await look();
    } catch (error) {
      end();
      throw error;
    }
    return { end, look };
  }

  async #join(): Promise<void> {
    this.#joined++;
    this.#listening ??= this.#channels.listen(this.#channel, (text) => this.#hear(JSON.parse(text) as Message));
    try {
      await this.#listening;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  #leave(): void {
    if (--this.#joined > 0) return;
    void this.#listening?.then(
      (stop) => stop(),
      () => {},
    );
    this.#listening = undefined;
  }

  #hear({ e: entity, s: stored, f: failed }: Message): void {
    for (const follower of this.#followersOf(entity, stored)) this.#tell(follower, 'stored');
    // A failure has several kinds, and may be of a newer write of the key: the buffer knows.
    for (const follower of this.#followersOf(entity, failed)) void this.#look(follower).catch(() => {});
  }

  /** Those whose write is among these keys and versions, or is an older one of the key. */
  #followersOf(entity: string, pairs: readonly (string | number)[]): Follower[] {
    const found: Follower[] = [];
    for (let at = 0; at < pairs.length; at += 2) {
      for (const follower of this.#followers.get(`${entity} ${pairs[at]}`) ?? [])
        if (follower.receipt.version <= Number(pairs[at + 1])) found.push(follower);
    }
    return found;
  }

  async #look(follower: Follower): Promise<void> {
    if (isFinal(follower.state)) return;
    const found = await this.#states.of(follower.receipt);
    if (found) this.#tell(follower, found.state);
  }

  #tell(follower: Follower, state: WriteState): void {
    if (ON_ITS_WAY.has(state) || state === follower.state || isFinal(follower.state)) return;
    follower.state = state;
    if (isFinal(state)) this.#remove(follower);
    const { receipt, database } = follower;
    follower.tell({ id: writeId(receipt), entity: receipt.entity, version: receipt.version, state, database });
  }

  #add(follower: Follower): void {
    const place = placeOf(follower.receipt);
    const followers = this.#followers.get(place);
    if (followers) followers.add(follower);
    else this.#followers.set(place, new Set([follower]));
  }

  #remove(follower: Follower): void {
    const place = placeOf(follower.receipt);
    const followers = this.#followers.get(place);
    followers?.delete(follower);
    if (followers?.size === 0) this.#followers.delete(place);
  }
}

const placeOf = ({ entity, key }: Receipt): string => `${entity} ${key}`;
