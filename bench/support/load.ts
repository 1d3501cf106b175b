import { connect, type Socket } from 'node:net';

/**
 * A lean HTTP/1.1 client for measurements: bodies are rendered before, answers are read as far as their length, so that the
 * load costs a fraction of what it loads. Closed loop (a connection sends when it has its answer) and open loop (requests
 * leave on schedule, whatever the server does; latency counts from the schedule).
 */
export interface Target {
  host: string;
  port: number;
  /** Whole requests, sent in turn. */
  requests: readonly Buffer[];
}

export interface LoadResult {
  /** Answers a second. */
  throughput: number;
  latenciesMs: number[];
  /** Answers by status class, e.g. 2 for 2xx. */
  statuses: Record<number, number>;
}

const HEADERS_END = Buffer.from('\r\n\r\n');

class Connection {
  readonly #socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #done: ((status: number) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
      this.#read();
    });
    socket.on('error', () => this.#done?.(0));
    socket.on('close', () => this.#done?.(0));
  }

  send(request: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(): void {
    const end = this.#buffered.indexOf(HEADERS_END);
    if (end < 0) return;
    const head = this.#buffered.toString('latin1', 0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const total = end + 4 + length;
    if (this.#buffered.length < total) return;
    this.#buffered = this.#buffered.subarray(total);
    const done = this.#done;
    this.#done = undefined;
    done?.(Number(head.slice(9, 12)));
  }
}

const open = async ({ host, port }: Target, count: number): Promise<Connection[]> =>
  Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Connection>((resolve, reject) => {
          const socket = connect(port, host);
          socket.once('error', reject);
          socket.once('connect', () => resolve(new Connection(socket)));
        }),
    ),
  );

export async function closedLoop(target: Target, connections: number, durationMs: number): Promise<LoadResult> {
  const pool = await open(target, connections);
  const latenciesMs: number[] = [];
  const statuses: Record<number, number> = {};
  const startedMs = performance.now();
  let next = 0;
  const run = async (connection: Connection) => {
    while (performance.now() - startedMs < durationMs) {
      const sentMs = performance.now();
      const status = await connection.send(target.requests[next++ % target.requests.length]!);
      latenciesMs.push(performance.now() - sentMs);
      statuses[Math.floor(status / 100)] = (statuses[Math.floor(status / 100)] ?? 0) + 1;
    }
  };
  await Promise.all(pool.map(run));
  const throughput = (latenciesMs.length / (performance.now() - startedMs)) * 1000;
  for (const connection of pool) connection.close();
  return { throughput, latenciesMs, statuses };
}

/** @param rate requests a second @param connections at most that many are under way; the rest queue, and their wait counts */
export async function openLoop(
  target: Target,
  rate: number,
  connections: number,
  durationMs: number,
): Promise<LoadResult> {
  const idle = await open(target, connections);
  const all = [...idle];
  const queue: number[] = [];
  const latenciesMs: number[] = [];
  const statuses: Record<number, number> = {};
  const pending = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  const dispatch = (): void => {
    while (idle.length > 0 && queue.length > 0) {
      const connection = idle.pop()!;
      const scheduledMs = queue.shift()!;
      const work: Promise<void> = connection.send(target.requests[sent++ % target.requests.length]!).then((status) => {
        latenciesMs.push(performance.now() - scheduledMs);
        statuses[Math.floor(status / 100)] = (statuses[Math.floor(status / 100)] ?? 0) + 1;
        idle.push(connection);
        pending.delete(work);
        dispatch();
      });
      pending.add(work);
    }
  };
  let scheduled = 0;
  while (performance.now() - startedMs < durationMs) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * rate);
    for (; scheduled < due; scheduled++) queue.push(startedMs + (scheduled / rate) * 1000);
    dispatch();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (queue.length > 0 || pending.size > 0) await Promise.race([...pending]);
  for (const connection of all) connection.close();
  return { throughput: (latenciesMs.length / (performance.now() - startedMs)) * 1000, latenciesMs, statuses };
}

export function renderRequest(method: string, path: string, headers: Record<string, string>, body: object): Buffer {
  const content = JSON.stringify(body);
  const lines = Object.entries({
    host: 'localhost',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(content)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${content}`);
}
