import { NotFoundError, OverloadedError, ShuttingDownError, TooManyStreamsError } from '../../errors/catalogue.ts';
import type { Log } from '../../lib/log.ts';
import type { RequestContext, StreamBody } from '../../lib/route.ts';
import type { Receipt } from '../../lib/write-receipt.ts';
import type { AudienceNews, LiveAudience } from '../../live/audience-news.ts';
import type { Channels } from '../../live/channels.ts';
import type { UserStreams } from '../../live/user-streams.ts';
import { type Following, UnknownWriteError, type WriteNews } from '../../live/write-news.ts';
import { OpenStream } from './open-stream.ts';

export interface StreamSettings {
  /** A quiet stream gets a comment so often. */
  heartbeatMs: number;
  /** Streams of one user in this process at most. */
  mostPerUser: number;
  /** Streams of this process at most. */
  mostOpen: number;
}

export interface StreamRequest {
  userId: string;
  /** Beside the user itself. */
  audiences: readonly LiveAudience[];
  lastEventId: string | undefined;
  writes: readonly Receipt[];
  confirm: RequestContext['confirm'];
}

export interface OpenStreamsDeps {
  userStreams: UserStreams;
  audienceNews: AudienceNews;
  writeNews: WriteNews;
  channels: Channels;
  log: Log;
}

/** A4: a login that has ended is noticed within a second, the look-up included. */
const CHECK_MS = 600;
/** Streams are checked in turn, so that many of them make no burst. */
const SLICES = 10;
const RETRY_AFTER = { 'Retry-After': '5' };

const CONTENT_TYPE = 'text/event-stream; charset=utf-8';

/** The open streams of this process: how many there may be, one timer for all, and their end. */
export class OpenStreams {
  readonly #deps: OpenStreamsDeps;
  readonly #settings: StreamSettings;
  readonly #slices = Array.from({ length: SLICES }, () => new Set<OpenStream>());
  readonly #perUser = new Map<string, number>();
  #opened = 0;
  #count = 0;
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(deps: OpenStreamsDeps, settings: StreamSettings) {
    this.#deps = deps;
    this.#settings = settings;
    deps.channels.onMissed(() => {
      for (const stream of this.#all()) stream.look();
    });
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Prepares a stream; it begins when its answer is sent.
   *
   * @throws TooManyStreamsError, OverloadedError, ShuttingDownError; NotFoundError for a write that cannot be
   */
  async open({ userId, audiences, lastEventId, writes, confirm }: StreamRequest): Promise<StreamBody> {
    const { userStreams, audienceNews, writeNews, log } = this.#deps;
    const leave = this.#enter(userId);
    const stream = new OpenStream({ userId, confirm, userStreams, heartbeatMs: this.#settings.heartbeatMs, log });
    const ends: (() => void)[] = [leave];
    const end = () => {
      for (const undo of ends.splice(0)) undo();
    };
    try {
      ends.push(await userStreams.listen(userId, stream.poke));
      ends.push(await audienceNews.listen(audiences, stream.hear));
      let following: Following | undefined;
      if (writes.length > 0) {
        following = await writeNews.follow(writes, stream.tell);
        ends.push(following.end);
      }
      const missed = await userStreams.after(userId, lastEventId);
      return {
        contentType: CONTENT_TYPE,
        start: (answer) => {
          const slice = this.#slices[this.#opened++ % SLICES]!;
          slice.add(stream);
          ends.push(() => slice.delete(stream));
          answer.onClose(end);
          stream.start(answer, missed, following, Date.now());
          if (this.#isStopping) stream.close(ShuttingDownError.code);
        },
      };
    } catch (error) {
      end();
      if (error instanceof UnknownWriteError)
        throw new NotFoundError({ errors: [{ pointer: '/query/writes', detail: error.message }] });
      throw error;
    }
  }

  /** Ends all streams, and lets none begin. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#all()) stream.close(ShuttingDownError.code);
  }

  #enter(userId: string): () => void {
    const { mostOpen, mostPerUser } = this.#settings;
    if (this.#isStopping) throw new ShuttingDownError();
    if (this.#count >= mostOpen) throw new OverloadedError(`this server has ${mostOpen} streams open`);
    const own = this.#perUser.get(userId) ?? 0;
    if (own >= mostPerUser)
      throw new TooManyStreamsError({
        detail: `at most ${mostPerUser} at a time: close another`,
        headers: RETRY_AFTER,
      });
    this.#perUser.set(userId, own + 1);
    this.#count++;
    this.#timer ??= setInterval(() => this.#checkSlice(), CHECK_MS / SLICES).unref();
    return () => this.#left(userId);
  }

  #left(userId: string): void {
    const own = this.#perUser.get(userId)! - 1;
    if (own > 0) this.#perUser.set(userId, own);
    else this.#perUser.delete(userId);
    if (--this.#count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #checkSlice(): void {
    const nowMs = Date.now();
    for (const stream of this.#slices[this.#tick++ % SLICES]!) stream.check(nowMs);
  }

  #all(): OpenStream[] {
    return this.#slices.flatMap((slice) => [...slice]);
  }
}
