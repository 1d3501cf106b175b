import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A wire between the engine and a server that a test can cut, hold or listen to. */
export class TcpProxy {
  readonly #target: { host: string; port: number };
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  readonly #abandoned: Socket[] = [];
  #isDown = false;
  #delayMs = 0;
  #isHeld = false;
  #cutAfter: ((data: Buffer) => boolean) | undefined;
  #cutInstead: ((data: Buffer) => boolean) | undefined;
  #onCut: (() => void) | undefined;
  url = '';

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = createServer((client) => this.#accept(client));
  }

  /** @param url of the server; the proxy's own has the same path and user */
  static async open(url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(url);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    const own = new URL(url);
    own.hostname = '127.0.0.1';
    own.port = String((proxy.#server.address() as AddressInfo).port);
    proxy.url = own.href;
    return proxy;
  }

  /** Answers take this much longer: what may go wrong meanwhile has time to. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Cuts all connections and refuses new ones. */
  down(): void {
    this.#isDown = true;
    this.cut();
  }

  up(): void {
    this.#isDown = false;
  }

  /** Cuts the connections there are; new ones work. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
    this.#pairs.clear();
  }

  /** Connections stay open and nothing passes: what a dead peer looks like. */
  hold(): void {
    this.#isHeld = true;
    for (const { client, upstream } of this.#pairs) {
      client.pause();
      upstream.pause();
    }
  }

  /** The connections there are go silent for good, as when the other side's machine is gone; new ones work. */
  abandon(): void {
    for (const pair of this.#pairs) {
      pair.client.pause();
      pair.upstream.destroy();
      this.#abandoned.push(pair.client);
    }
    this.#pairs.clear();
  }

  resume(): void {
    this.#isHeld = false;
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }

  /**
   * Passes the next matching request on and cuts its connection when the answer comes, before the client sees it: the
   * server has done what the client does not know of.
   *
   * @returns resolves when that has happened
   */
  cutBeforeAnswerTo(matches: (data: Buffer) => boolean): Promise<void> {
    this.#cutAfter = matches;
    return new Promise((resolve) => {
      this.#onCut = resolve;
    });
  }

  /**
   * Cuts the connection of the next matching request instead of passing it on: the server never hears of it.
   *
   * @returns resolves when that has happened
   */
  cutInsteadOf(matches: (data: Buffer) => boolean): Promise<void> {
    this.#cutInstead = matches;
    return new Promise((resolve) => {
      this.#onCut = resolve;
    });
  }

  async close(): Promise<void> {
    this.cut();
    for (const socket of this.#abandoned) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    if (this.#isDown) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...this.#target, noDelay: true });
    upstream.on('error', () => {});
    const pair = { client, upstream };
    this.#pairs.add(pair);
    const end = () => {
      if (!this.#pairs.delete(pair)) return;
      client.destroy();
      upstream.destroy();
    };
    let isDoomed = false;
    client.on('data', (data) => {
      if (this.#cutInstead?.(data)) {
        this.#cutInstead = undefined;
        client.resetAndDestroy();
        end();
        this.#onCut?.();
        return;
      }
      if (this.#cutAfter?.(data)) {
        this.#cutAfter = undefined;
        isDoomed = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!isDoomed) {
        // Timers of one length fire in order, so the answers stay in order too.
        if (this.#delayMs > 0) setTimeout(() => client.write(data), this.#delayMs);
        else client.write(data);
        return;
      }
      client.resetAndDestroy();
      end();
      this.#onCut?.();
    });
    if (this.#isHeld) {
      client.pause();
      upstream.pause();
    }
    client.on('close', end);
    upstream.on('close', end);
  }
}
