import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { SigningKey } from '../../config/index.ts';
import { ExpiredTokenError, InvalidTokenError, RefreshInvalidError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';

/** What an access token says (A3). */
export interface AccessClaims {
  userId: string;
  sid: string;
  roles: Role[];
  epoch: number;
  expiresAtMs: number;
}

const ALGORITHM = 'HS256';
const ISSUER = 'schools24';
const REFRESH_KEY_BYTES = 32;
/** sid, generation, mac; the generation fits its column. */
const REFRESH_TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/;

/** A3 */
export const ACCESS_TOKEN_SECONDS = 15 * 60;

/** What a refresh token says. */
export interface RefreshClaims {
  sid: string;
  generation: number;
}

/** Signs with the first key, verifies with all: a new key goes in front, an old one leaves when its tokens have expired. */
export class Tokens {
  readonly #keys: Map<string, Uint8Array>;
  readonly #signing: SigningKey;
  readonly #refreshKeys: readonly Buffer[];

  constructor(keys: readonly SigningKey[]) {
    this.#signing = keys[0]!;
    this.#keys = new Map(keys.map(({ id, secret }) => [id, secret]));
    // A key of its own: what signs one kind of token must not vouch for another.
    this.#refreshKeys = keys.map(({ secret }) =>
      Buffer.from(hkdfSync('sha256', secret, '', 'refresh token', REFRESH_KEY_BYTES)),
    );
  }

  sign({ userId, sid, roles, epoch }: Omit<AccessClaims, 'expiresAtMs'>, nowMs: number): Promise<string> {
    const issuedAt = Math.floor(nowMs / 1000);
    return new SignJWT({ sid, roles, epoch })
      .setProtectedHeader({ alg: ALGORITHM, kid: this.#signing.id, typ: 'JWT' })
      .setSubject(userId)
      .setIssuer(ISSUER)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ACCESS_TOKEN_SECONDS)
      .sign(this.#signing.secret);
  }

  /** `sid.generation.mac` (A3): it proves itself, so nothing secret is stored. */
  signRefresh(sid: string, generation: number): string {
    const content = `${sid}.${generation}`;
    return `${content}.${macOf(this.#refreshKeys[0]!, content).toString('base64url')}`;
  }

  /** @throws RefreshInvalidError when none of the keys has made it */
  verifyRefresh(token: string): RefreshClaims {
    const [, sid, generation, mac] = REFRESH_TOKEN.exec(token) ?? [];
    if (!sid || !generation || !mac) throw new RefreshInvalidError();
    const given = Buffer.from(mac, 'base64url');
    const content = `${sid}.${generation}`;
    if (!this.#refreshKeys.some((key) => timingSafeEqual(macOf(key, content), given))) throw new RefreshInvalidError();
    return { sid, generation: Number(generation) };
  }

  /** @throws ExpiredTokenError, InvalidTokenError */
  async verify(token: string, nowMs: number): Promise<AccessClaims> {
    try {
      const { payload } = await jwtVerify(
        token,
        ({ kid }) => {
          const key = this.#keys.get(kid ?? '');
          if (!key) throw new errors.JOSEError('unknown key');
          return key;
        },
        {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          currentDate: new Date(nowMs),
          requiredClaims: ['sub', 'sid', 'exp'],
        },
      );
      return {
        userId: payload.sub!,
        sid: payload.sid as string,
        roles: payload.roles as Role[],
        epoch: payload.epoch as number,
        expiresAtMs: payload.exp! * 1000,
      };
    } catch (cause) {
      if (cause instanceof errors.JWTExpired) throw new ExpiredTokenError();
      throw new InvalidTokenError({ cause });
    }
  }
}

const macOf = (key: Buffer, content: string): Buffer => createHmac('sha256', key).update(content).digest();
