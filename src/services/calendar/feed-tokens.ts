import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { BadFeedTokenError } from '../../errors/catalogue.ts';

const KEY_BYTES = 32;
const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,9})\.([A-Za-z0-9_-]{43})$/;

/** What a calendar's address proves: whose it is, and which of that person's addresses. */
export interface FeedClaim {
  userId: string;
  epoch: number;
}

/** `user.epoch.mac`: signs with the first key, verifies with all, so that a key may be replaced. */
export class FeedTokens {
  readonly #keys: readonly Buffer[];

  /** @param secrets of the access tokens; what signs here follows from them and is good for nothing else */
  constructor(secrets: readonly Uint8Array[]) {
    this.#keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'calendar feed', KEY_BYTES)));
  }

  sign({ userId, epoch }: FeedClaim): string {
    const content = `${userId}.${epoch}`;
    return `${content}.${macOf(this.#keys[0]!, content).toString('base64url')}`;
  }

  /** @throws BadFeedTokenError */
  verify(token: string): FeedClaim {
    const [, userId, epoch, mac] = TOKEN.exec(token) ?? [];
    if (!userId || !epoch || !mac) throw new BadFeedTokenError();
    const given = Buffer.from(mac, 'base64url');
    const isOurs = this.#keys.some((key) => {
      const wanted = macOf(key, `${userId}.${epoch}`);
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    });
    if (!isOurs) throw new BadFeedTokenError();
    return { userId, epoch: Number(epoch) };
  }
}

const macOf = (key: Buffer, content: string): Buffer => createHmac('sha256', key).update(content).digest();
