import type { RefusalReason } from '../errors/driver-errors.ts';
import { type Document, type EntityDefinition, keyOf, promiseMs } from '../lib/entity.ts';
import type { EntityRegistry } from '../lib/entity-registry.ts';
import type { DomainEvent } from '../lib/events.ts';
import type { Receipt, WriteReceipt } from '../lib/write-receipt.ts';
import type { Barrier } from './barrier.ts';
import type { StoreDirectory } from './batch-writer.ts';
import type { Reservations } from './reservations.ts';
import type { PutOptions, WriteBuffer } from './write-buffer.ts';

/** The database refuses a write that was to go through to it; nothing of it is kept. */
export class WriteRefusedError extends Error {
  override name = 'WriteRefusedError';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(reason.message);
    this.reason = reason;
  }
}

const REFUSED_BESIDE: RefusalReason = {
  code: 'REFUSED',
  message: 'refused together with another write of the same resource',
};

type Put = (options: PutOptions) => Promise<Receipt>;

/** Options of a caller; repairs have their own way into the buffer. */
export type WriteOptions = Omit<PutOptions, 'isRepair' | 'isAlone'>;

/**
 * The way in for services: takes a document's unique values, puts it into the buffer and, where it must not wait there, has it
 * stored before it is acknowledged.
 *
 *   put -> buffered (202)
 *   put -> through: what is pending of its key stored first, then itself -> stored | refused or not in time: withdrawn
 *
 * Writes go through when their entity is `committed`, and all do while the buffer cannot be trusted with them and the
 * deployment prefers that to refusing them (BUFFER_OVERLOAD). They pass the buffer even so: one version, one order.
 */
export class Writer {
  readonly #buffer: WriteBuffer;
  readonly #eventLog: { append(events: readonly DomainEvent[]): Promise<void> };
  readonly #reservations: Reservations;
  readonly #barrier: Barrier;
  readonly #registry: EntityRegistry;
  readonly #stores: StoreDirectory;
  readonly #isBufferShut: () => boolean;
  readonly #intervalMs: number;
  #onEvents: ((events: readonly DomainEvent[]) => Promise<void>) | undefined;

  constructor(deps: {
    buffer: WriteBuffer;
    /** Where events of writes that go through are kept; the others lie there with their write. */
    eventLog: { append(events: readonly DomainEvent[]): Promise<void> };
    reservations: Reservations;
    barrier: Barrier;
    registry: EntityRegistry;
    stores: StoreDirectory;
    /** Asked at each write: every write must go through now. */
    isBufferShut: () => boolean;
    /** Time between sync runs. */
    intervalMs: number;
  }) {
    this.#buffer = deps.buffer;
    this.#eventLog = deps.eventLog;
    this.#reservations = deps.reservations;
    this.#barrier = deps.barrier;
    this.#registry = deps.registry;
    this.#stores = deps.stores;
    this.#isBufferShut = deps.isBufferShut;
    this.#intervalMs = deps.intervalMs;
  }

  /**
   * Told of the events of a write that has its place, before the write is answered: for what its own writer must see at once.
   * It must not throw; consumers hear of the same events later.
   */
  onEvents(listener: (events: readonly DomainEvent[]) => Promise<void>): void {
    this.#onEvents = listener;
  }

  /** Tells of what has changed in the buffer without a write of a service. */
  async tell(events: readonly DomainEvent[]): Promise<void> {
    await this.#eventLog.append(events);
    await this.#onEvents?.(events);
  }

  /**
   * Writes a whole document.
   *
   * @throws StaleVersionError when `ifMatch` is not the current version
   * @throws ValueTakenError naming the column whose value another document holds
   * @throws WriteRefusedError, FlushPendingError when it was to go through and the database refuses it or is away
   */
  put(entityName: string, document: Document, options: WriteOptions = {}): Promise<WriteReceipt> {
    const entity = this.#registry.get(entityName);
    const put = (only: PutOptions) => this.#buffer.put(entityName, document, only);
    const write = () => this.#write(entity, () => keyOf(entity, document), put, options);
    return entity.uniques && !options.isTombstone ? this.#reserved(entity, document, write) : write();
  }

  /** Holds the document's unique values while it is written. */
  async #reserved(
    entity: EntityDefinition,
    document: Document,
    write: () => Promise<WriteReceipt>,
  ): Promise<WriteReceipt> {
    const taken = await this.#reservations.take(entity, document);
    try {
      const receipt = await write();
      await taken.confirm();
      return receipt;
    } catch (error) {
      await taken.giveBack().catch(() => {}); // it ends by itself within a minute
      throw error;
    }
  }

  /** Writes some fields of a sheet, and its head when given. @throws as `put` does */
  putSheet(
    entityName: string,
    key: string,
    head: Document | undefined,
    fields: readonly Document[],
    options: WriteOptions = {},
  ): Promise<WriteReceipt> {
    const put = (only: PutOptions) => this.#buffer.putSheet(entityName, key, head, fields, only);
    return this.#write(this.#registry.get(entityName), () => key, put, options);
  }

  async #write(entity: EntityDefinition, key: () => string, put: Put, options: WriteOptions): Promise<WriteReceipt> {
    if (entity.durability === 'committed' || this.#isBufferShut()) {
      // Events of a write that may be refused wait for it. When they are lost, so is the answer: the request comes again.
      const { events = [], ...rest } = options;
      const receipt = await this.#through(entity, key(), () => put({ ...rest, isAlone: true }));
      if (events.length > 0) await this.tell(events);
      return receipt;
    }
    const receipt = await put(options);
    if (options.events && options.events.length > 0) await this.#onEvents?.(options.events);
    return { ...receipt, isPending: true, storedBy: new Date(Date.now() + promiseMs(entity.lane, this.#intervalMs)) };
  }

  async #through(entity: EntityDefinition, key: string, put: () => Promise<Receipt>): Promise<WriteReceipt> {
    // An acknowledged write of the key must be stored by itself: if the new one is refused, nothing else may go with it.
    const before = await this.#barrier.store(entity.name, [key]);
    const receipt = await put();
    try {
      // A write that was set aside is replaced by this one: refused, this one must stay in its place.
      const options = before.setAside.length > 0 ? {} : { unacknowledged: receipt.version };
      const { stored, setAside, failure } = await this.#barrier.store(entity.name, [key], options);
      if (failure) throw new WriteRefusedError(failure);
      if (setAside.length > 0) throw new WriteRefusedError(REFUSED_BESIDE);
      // Whoever else took it, a run or another request, may have had to withdraw it.
      if (stored === 0 && !(await this.#isStored(entity, receipt))) throw new WriteRefusedError(REFUSED_BESIDE);
    } catch (error) {
      await this.#withdraw(entity, receipt);
      throw error;
    }
    return { ...receipt, isPending: false };
  }

  async #isStored(entity: EntityDefinition, { key, version }: Receipt): Promise<boolean> {
    return ((await this.#stores[entity.sink.kind].sink.versionOf(entity, key)) ?? 0) >= version;
  }

  /** Takes a write that is not acknowledged out of the buffer, unless a newer one has replaced it. */
  async #withdraw({ name }: EntityDefinition, { key, version }: Receipt): Promise<void> {
    const [pending] = await this.#buffer.fetch(name, [key]);
    if (pending?.state !== 'dirty') return;
    // One that has replaced an acknowledged write meanwhile stands for that one, too.
    const entries = pending.entries.filter((entry) => entry.version === version && entry.writes === 1);
    if (entries.length === 0) return;
    await this.#buffer.acknowledge(name, [{ ...pending, entries }], 'withdrawn');
  }
}
