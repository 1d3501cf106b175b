import type { Redis } from 'ioredis';

type Listener = (message: string) => void;

interface Channel {
  listeners: Set<Listener>;
  /** Settles when Redis has confirmed the subscription. */
  ready: Promise<unknown>;
}

/** A peer that has gone without a word is noticed: what is owed an answer for the connection's silence ends it. */
const PING_MS = 10_000;

/**
 * Redis pub/sub for a process: one connection, opened when somebody first listens, however many listen. Messages are hints: what
 * was published while the connection was away is gone, so listeners read what is true when `onMissed` calls.
 */
export class Channels {
  readonly #publisher: Redis;
  readonly #connect: () => Redis;
  readonly #channels = new Map<string, Channel>();
  readonly #missed = new Set<() => void>();
  #subscriber: Redis | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: { publisher: Redis; connect: () => Redis }) {
    this.#publisher = deps.publisher;
    this.#connect = deps.connect;
  }

  /** Tells whoever listens now. Resolves to false when Redis does not take it: nothing depends on it. */
  async publish(channel: string, message: string): Promise<boolean> {
    return this.#publisher.publish(channel, message).then(
      () => true,
      () => false,
    );
  }

  /**
   * Calls the listener with each message from when it resolves on.
   *
   * @returns what ends it
   * @throws when Redis is away
   */
  async listen(name: string, listener: Listener): Promise<() => void> {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { listeners: new Set(), ready: this.#open().subscribe(name) };
      this.#channels.set(name, channel);
    }
    channel.listeners.add(listener);
    const joined = channel;
    try {
      await joined.ready;
    } catch (error) {
      this.#leave(name, joined, listener);
      throw error;
    }
    return () => this.#leave(name, joined, listener);
  }

  /** Calls the listener when messages may have been lost. @returns what ends it */
  onMissed(listener: () => void): () => void {
    this.#missed.add(listener);
    return () => void this.#missed.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #leave(name: string, channel: Channel, listener: Listener): void {
    channel.listeners.delete(listener);
    if (channel.listeners.size > 0 || this.#channels.get(name) !== channel) return;
    this.#channels.delete(name);
    void this.#subscriber?.unsubscribe(name).catch(() => {}); // a connection that is gone listens to nothing
  }

  #open(): Redis {
    if (this.#subscriber) return this.#subscriber;
    const subscriber = this.#connect();
    let isFirst = true;
    subscriber.on('ready', () => {
      if (!isFirst) void this.#catchUp(subscriber);
      isFirst = false;
    });
    subscriber.on('message', (name: string, message: string) => {
      for (const listener of [...(this.#channels.get(name)?.listeners ?? [])]) listener(message);
    });
    this.#timer = setInterval(() => void subscriber.ping().catch(() => {}), PING_MS);
    this.#timer.unref();
    this.#subscriber = subscriber;
    return subscriber;
  }

  async #catchUp(subscriber: Redis): Promise<void> {
    try {
      // Answered after the subscriptions that the client renews: what is published from here on is heard.
      await subscriber.ping();
    } catch {
      return; // away again; the next time calls
    }
    for (const listener of [...this.#missed]) listener();
  }
}
