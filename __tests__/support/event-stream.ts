import { until } from './until.ts';

export interface ServerEvent {
  id?: string;
  name: string;
  // Tests look into events of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  data: any;
}

/** A client of server-sent events, as the standard reads them. */
export class EventStream {
  readonly response: Response;
  readonly events: ServerEvent[] = [];
  /** Heartbeats, for instance. */
  comments = 0;
  /** The server has ended it, or cut it. */
  isEnded = false;
  /** What a client sends when it comes back. */
  lastEventId: string | undefined;
  readonly #aborter: AbortController;
  #seen = 0;

  private constructor(response: Response, aborter: AbortController) {
    this.response = response;
    this.#aborter = aborter;
    void this.#read();
  }

  /** @throws with the problem when the answer is not a stream */
  static async open(url: string, headers: Record<string, string>): Promise<EventStream> {
    const aborter = new AbortController();
    const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: aborter.signal });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return new EventStream(response, aborter);
  }

  /** The next event of a name among those that were not asked for yet. */
  next(name: string): Promise<ServerEvent> {
    return until(`event ${name}; there are ${this.events.map((event) => event.name)}`, async () => {
      const at = this.events.findIndex((event, index) => index >= this.#seen && event.name === name);
      if (at < 0) return undefined;
      this.#seen = at + 1;
      return this.events[at];
    });
  }

  async ended(): Promise<void> {
    await until('the end of the stream', async () => (this.isEnded ? true : undefined));
  }

  close(): void {
    this.#aborter.abort();
  }

  async #read(): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body!) {
        rest += decoder.decode(chunk, { stream: true });
        const blocks = rest.split('\n\n');
        rest = blocks.pop()!;
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // cut, or closed by the test
    }
    this.isEnded = true;
  }

  #take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon === 0) this.comments++;
      else fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const id = fields.get('id');
    if (id !== undefined) this.lastEventId = id;
    if (fields.has('data'))
      this.events.push({
        ...(id === undefined ? {} : { id }),
        name: fields.get('event') ?? 'message',
        data: JSON.parse(fields.get('data')!),
      });
  }
}
