import { createHash, createHmac, hkdfSync } from 'node:crypto';
import type { Knex } from 'knex';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeRows } from '../../stores/postgres/purge.ts';

export type TokenKind = 'invite' | 'reset';

export interface IssuedToken {
  /** Of its row, and of the mail that brings it. */
  id: string;
  /** For the user's eyes only. */
  token: string;
  expiresAt: Date;
}

export interface TokenOwner {
  kind: TokenKind;
  userId: string;
  login: string;
}

const KEY_BYTES = 32;
const HOUR_MS = 3_600_000;
const LIFE_MS: Record<TokenKind, number> = { invite: 7 * 24 * HOUR_MS, reset: HOUR_MS };
/** Tokens that are of no use any more stay for a while: somebody may ask what was sent. */
const KEPT_MS = 30 * 24 * HOUR_MS;
/** Links one user gets in an hour: more would only fill a mailbox. */
const MOST_AN_HOUR = 5;

/** A token cannot be guessed, so that a plain hash of it cannot be turned around. */
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/**
 * Tokens that set a password once, sent by mail; the database has their hashes only. A token is a keyed hash of its id: who
 * asks again under the same id, because the first mail may not have gone out, gets the same one.
 */
export class AccountTokens {
  readonly #knex: Knex;
  readonly #key: Buffer;

  /** @param secret the newest one of those that sign tokens */
  constructor({ knex, secret }: { knex: Knex; secret: Uint8Array }) {
    this.#knex = knex;
    // A key of its own: what signs one kind of token must not vouch for another.
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'account token', KEY_BYTES));
  }

  /**
   * @param id of a request or an event that nobody outside can choose
   * @returns undefined when the user got enough of them in the last hour, or has used this one
   */
  async issue(
    knex: Knex.Transaction,
    { id, userId, kind, now }: { id: string; userId: string; kind: TokenKind; now: Date },
  ): Promise<IssuedToken | undefined> {
    const token = createHmac('sha256', this.#key).update(id).digest('base64url');
    const expiresAt = new Date(now.getTime() + LIFE_MS[kind]);
    // One after the other for one user: several at once would count too few.
    await knex.raw('SELECT id FROM users WHERE id = ? FOR NO KEY UPDATE', [userId]);
    const result = await knex.raw(
      `INSERT INTO auth_tokens (id, user_id, kind, token_hash, expires_at, created_at)
       SELECT :id, :userId, :kind, :hash, :expiresAt, :now
       WHERE (SELECT count(*) FROM auth_tokens WHERE user_id = :userId AND created_at > :since AND id <> :id) < ${MOST_AN_HOUR}
       ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash WHERE auth_tokens.used_at IS NULL
       RETURNING expires_at AS "expiresAt"`,
      { id, userId, kind, hash: hashOf(token), expiresAt, now, since: new Date(now.getTime() - HOUR_MS) },
    );
    const [row] = result.rows as { expiresAt: string }[];
    return row && { id, token, expiresAt: new Date(row.expiresAt) };
  }

  /** Whose token it is, while it is good. */
  async find(token: string, now: Date): Promise<TokenOwner | undefined> {
    const result = await this.#knex.raw(
      `SELECT t.kind, t.user_id AS "userId", u.login FROM auth_tokens t JOIN users u ON u.id = t.user_id
       WHERE t.token_hash = ? AND t.used_at IS NULL AND t.expires_at > ? AND u.status IN ('active', 'invited')`,
      [hashOf(token), now],
    );
    return result.rows[0];
  }

  /** @returns whether it was good until now: of several requests with one token, one is told so */
  async use(knex: Knex.Transaction, token: string, now: Date): Promise<boolean> {
    const result = await knex.raw(
      `UPDATE auth_tokens SET used_at = :now WHERE token_hash = :hash AND used_at IS NULL AND expires_at > :now RETURNING id`,
      { hash: hashOf(token), now },
    );
    return result.rows.length > 0;
  }

  /** Ends what is open: the password or the address it was meant for has changed. */
  async endAll(knex: Knex.Transaction, userId: string, now: Date): Promise<void> {
    await knex.raw('UPDATE auth_tokens SET used_at = :now WHERE user_id = :userId AND used_at IS NULL', {
      userId,
      now,
    });
  }

  /** Removes tokens that were used, or expired, long ago. */
  purge(run: TaskRun): Promise<TaskResult> {
    const before = new Date(run.now.getTime() - KEPT_MS);
    const where = 'expires_at < ? OR used_at < ?';
    return purgeRows(this.#knex, { table: 'auth_tokens', key: ['id'], where, values: [before, before] }, run);
  }
}
