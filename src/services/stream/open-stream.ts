import { AppError } from '../../errors/app-error.ts';
import type { Log } from '../../lib/log.ts';
import type { OpenAnswer, RequestContext } from '../../lib/route.ts';
import type { AudienceNote } from '../../live/audience-news.ts';
import type { UserMessages, UserStreams } from '../../live/user-streams.ts';
import type { Following, WriteNote } from '../../live/write-news.ts';
import { eventOf, HEARTBEAT, RETRY } from './sse.ts';

/** Messages of pub/sub may be lost; so often a stream looks by itself. */
const LOOK_MS = 60_000;

export interface OpenStreamDeps {
  userId: string;
  confirm: RequestContext['confirm'];
  userStreams: Pick<UserStreams, 'after'>;
  heartbeatMs: number;
  log: Log;
}

/**
 * One client's stream:
 *
 *   prepared (what is told waits) -> open (the answer's head is sent) -> closed, by the client, by the server or by its login
 *
 * Messages to the user come in the order of their ids, each once, since they are read after the last one sent; pub/sub only
 * says that there is something to read. What became of writes has no id and is not replayed: it is looked up again.
 */
export class OpenStream {
  readonly #deps: OpenStreamDeps;
  #answer: OpenAnswer | undefined;
  #isClosed = false;
  #waiting: string[] = [];
  #lastId = '';
  #isReading = false;
  #isBehind = false;
  #isConfirming = false;
  #following: Following | undefined;
  #sentMs = 0;
  #lookedMs = 0;

  constructor(deps: OpenStreamDeps) {
    this.#deps = deps;
  }

  /** The user has new messages. */
  readonly poke = (): void => {
    this.#isBehind = true;
    void this.#read();
  };

  readonly tell = (note: WriteNote): void => {
    this.#send(eventOf(note.state === 'stored' ? 'write.stored' : 'write.failed', JSON.stringify(note)));
  };

  /** Something that concerns many; it has no id, so clients' places stay as they are. */
  readonly hear = ({ name, data }: AudienceNote): void => {
    this.#send(eventOf(name, data));
  };

  /** @param missed what came after the client's last event */
  start(answer: OpenAnswer, missed: UserMessages, following: Following | undefined, nowMs: number): void {
    this.#answer = answer;
    this.#following = following;
    this.#lookedMs = nowMs;
    this.#sentMs = nowMs;
    this.#lastId = missed.lastId;
    answer.write(
      [RETRY, ...messagesOf(missed), eventOf('stream.ready', '{}', missed.lastId), ...this.#waiting].join(''),
    );
    this.#waiting = [];
    void this.#read();
  }

  /** Called about once a second. */
  check(nowMs: number): void {
    if (nowMs - this.#sentMs >= this.#deps.heartbeatMs) this.#send(HEARTBEAT, nowMs);
    if (nowMs - this.#lookedMs >= LOOK_MS) {
      this.#lookedMs = nowMs;
      this.look();
    }
    void this.#confirm();
  }

  /** Reads what is true: messages of pub/sub may have been lost. */
  look(): void {
    this.poke();
    this.#following?.look().catch((error: Error) => this.#notRead(error));
  }

  /** Ends the stream in order. @param code why, as errors are called */
  close(code: string): void {
    this.#answer?.write(eventOf('stream.closed', JSON.stringify({ code })));
    this.#answer?.end();
    this.#answer = undefined;
    this.#isClosed = true;
  }

  async #confirm(): Promise<void> {
    if (this.#isConfirming) return;
    this.#isConfirming = true;
    try {
      await this.#deps.confirm();
    } catch (error) {
      // While nobody can tell, who was let in goes on until the token expires.
      if (error instanceof AppError && error.status === 401) this.close(error.code);
    }
    this.#isConfirming = false;
  }

  async #read(): Promise<void> {
    if (this.#isReading || !this.#answer) return;
    this.#isReading = true;
    try {
      while (this.#isBehind && this.#answer) {
        this.#isBehind = false;
        const found = await this.#deps.userStreams.after(this.#deps.userId, this.#lastId);
        if (found.messages.length === 0) continue;
        this.#lastId = found.messages.at(-1)!.id;
        this.#send(messagesOf(found).join(''));
      }
    } catch (error) {
      this.#notRead(error as Error);
    }
    this.#isReading = false;
  }

  #notRead(error: Error): void {
    this.#deps.log.debug('stream not read; it looks again later', { error: error.message });
  }

  #send(text: string, nowMs = Date.now()): void {
    if (this.#isClosed) return;
    if (!this.#answer) {
      this.#waiting.push(text);
      return;
    }
    this.#sentMs = nowMs;
    this.#answer.write(text);
  }
}

function messagesOf({ messages, isComplete }: UserMessages): string[] {
  const events = messages.map(({ name, data, id }) => eventOf(name, data, id));
  return isComplete ? events : [eventOf('stream.gap', '{}'), ...events];
}
