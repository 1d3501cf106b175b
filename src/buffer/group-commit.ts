import { ByteWriter, KeyList } from './byte-writer.ts';
import type { BufferScripts } from './scripts.ts';

/** One entry of a write: a document, or one field of a sheet. */
export interface EntryWrite {
  field: Buffer;
  prefix: Buffer;
  payload: Buffer;
  rawBytes: number;
}

/** One write as the put script takes it; all its keys lie in one shard. */
export interface BufferWrite {
  entity: string;
  key: string;
  bucketKey: string;
  dirtyKey: string;
  failedKey: string;
  bucket: string;
  /** Version of the stored row, when the caller has read it; the new version is above it. */
  base: number;
  /** Required current version, or undefined. */
  ifMatch?: number;
  relationKeys: readonly string[];
  /** Field under which a document's key stands in its relations; empty for sheets, which stand there by key. */
  relationMember: Buffer;
  entries: readonly EntryWrite[];
  /** JSON of events that are true with this write. */
  events?: readonly Buffer[];
}

/** Version of the write; negative: refused, the current version with its sign turned. */
export type PutResult = number;

/** A write, or what makes it when its commit is put together; until then more may join it. */
type WriteSource = BufferWrite | (() => BufferWrite | Promise<BufferWrite>);

interface Waiting {
  source: WriteSource;
  resolve(result: PutResult): void;
  reject(error: Error): void;
}

interface Made extends Omit<Waiting, 'source'> {
  write: BufferWrite;
}

/** Bounds of one commit, so that no script runs for long (10 ms at most, FAILURES 17). */
const MAX_WRITES = 128;
const MAX_BYTES = 1024 * 1024;

const NO_EVENTS: readonly Buffer[] = [];

/** Commits of a shard on their way at once. */
const MOST_IN_FLIGHT = 3;

/** Bytes of its payloads and fields. */
export const writeBytes = (write: BufferWrite): number =>
  write.entries.reduce((sum, entry) => sum + entry.payload.length + entry.field.length, 0);

/**
 * Gathers writes of one shard into commits: while as many are on their way to Redis as may be, the writes that arrive wait
 * and go together in the next. No timer: an idle buffer commits at once, a busy one by the beat of its round trips. Several
 * in flight keep this process and Redis busy at the same time; with one, each would wait for the other. They go over one
 * connection, so Redis takes them in the order in which they were sent.
 *
 *   put -> waiting -> (a place is free) -> in flight -> acknowledged or refused, each request by its own result
 *
 * A commit that fails (connection, out of memory) fails its writes alone. Its outcome may be unknown when the
 * connection broke; the caller answers 503 and a retry with the same Idempotency-Key has one effect.
 */
export class GroupCommit {
  readonly #scripts: BufferScripts;
  readonly #fixedKeys: readonly string[];
  readonly #eventChannel: string;
  readonly #onCommit: (writes: readonly BufferWrite[]) => void;
  #waiting: Waiting[] = [];
  #inFlight = 0;
  /** Writes whose payload is being compressed on another thread. */
  #making = 0;
  #isScheduled = false;
  #idle: (() => void)[] = [];

  /**
   * @param fixedKeys clock, counters, resolved list and events of the shard
   * @param eventChannel told when a commit has brought events
   */
  constructor(
    scripts: BufferScripts,
    fixedKeys: readonly string[],
    eventChannel: string,
    onCommit: (writes: readonly BufferWrite[]) => void,
  ) {
    this.#scripts = scripts;
    this.#fixedKeys = fixedKeys;
    this.#eventChannel = eventChannel;
    this.#onCommit = onCommit;
  }

  put(source: WriteSource): Promise<PutResult> {
    return new Promise((resolve, reject) => this.#add({ source, resolve, reject }));
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (this.#isScheduled || this.#inFlight >= MOST_IN_FLIGHT) return;
    // One turn of the event loop: requests already read from their sockets join this commit.
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#commitWhilePossible();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async drain(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  get #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#inFlight === 0 && this.#making === 0;
  }

  #commitWhilePossible(): void {
    while (this.#waiting.length > 0 && this.#inFlight < MOST_IN_FLIGHT) {
      const group = this.#take();
      if (group.length > 0) void this.#commit(group);
    }
  }

  async #commit(group: Made[]): Promise<void> {
    this.#inFlight++;
    try {
      const results = await this.#send(group.map(({ write }) => write));
      const stored: BufferWrite[] = [];
      group.forEach(({ write, resolve }, index) => {
        const result = results[index]!;
        if (result > 0) stored.push(write);
        resolve(result);
      });
      if (stored.length > 0) this.#onCommit(stored);
    } catch (error) {
      for (const { reject } of group) reject(error as Error);
    }
    this.#inFlight--;
    this.#commitWhilePossible();
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.#isIdle) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): Made[] {
    const group: Made[] = [];
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#waiting) {
      if (group.length >= MAX_WRITES || bytes >= MAX_BYTES) break;
      taken++;
      const write = this.#make(waiting);
      if (!write) continue;
      bytes += writeBytes(write);
      group.push({ write, resolve: waiting.resolve, reject: waiting.reject });
    }
    this.#waiting.splice(0, taken);
    return group;
  }

  /** @returns undefined when the write could not be made, or takes longer: then it comes back by itself */
  #make(waiting: Waiting): BufferWrite | undefined {
    const { source, resolve, reject } = waiting;
    if (typeof source !== 'function') return source;
    try {
      const write = source();
      if (!(write instanceof Promise)) return write;
      this.#making++;
      const again = (made: BufferWrite) => this.#add({ source: made, resolve, reject });
      void write.then(again, reject).finally(() => {
        this.#making--;
        this.#tellIdle();
      });
    } catch (error) {
      reject(error as Error);
    }
    return undefined;
  }

  #send(writes: readonly BufferWrite[]): Promise<PutResult[]> {
    const list = new KeyList(this.#fixedKeys);
    const out = new ByteWriter();
    for (const write of writes) {
      out.u16(list.position(write.bucketKey));
      out.u16(list.position(write.dirtyKey));
      out.u16(list.position(write.failedKey));
      out.text(write.entity);
      out.text(write.bucket);
      out.text(write.key);
      out.field(write.relationMember);
      out.double(write.base);
      out.double(write.ifMatch ?? -1);
      out.u8(write.relationKeys.length);
      out.u16(write.entries.length);
      out.u8(write.events?.length ?? 0);
      for (const key of write.relationKeys) out.u16(list.position(key));
      for (const { field, prefix, rawBytes, payload } of write.entries) {
        out.field(field);
        out.raw(prefix);
        out.u24(rawBytes);
        out.payload(payload);
      }
      for (const event of write.events ?? NO_EVENTS) out.payload(event);
    }
    return this.#scripts.put(list.keys, [out.take(), this.#eventChannel]);
  }
}
