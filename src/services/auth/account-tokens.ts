import { createHash, randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeRows } from '../../stores/postgres/purge.ts';

export type TokenKind = 'invite' | 'reset';

export interface IssuedToken {
  /** For the user's eyes only. */
  token: string;
  expiresAt: Date;
}

export interface TokenOwner {
  kind: TokenKind;
  userId: string;
  login: string;
}

const TOKEN_BYTES = 32;
const HOUR_MS = 3_600_000;
const LIFE_MS: Record<TokenKind, number> = { invite: 7 * 24 * HOUR_MS, reset: HOUR_MS };
/** Tokens that are of no use any more stay for a while: somebody may ask what was sent. */
const KEPT_MS = 30 * 24 * HOUR_MS;
/** Links one user gets in an hour: more would only fill a mailbox. */
const MOST_AN_HOUR = 5;

/** The token is random, so that a plain hash of it cannot be turned around. */
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Tokens that set a password once, sent by mail; the database has their hashes only. */
export class AccountTokens {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** @returns undefined when the user got enough of them in the last hour */
  async issue(
    knex: Knex.Transaction,
    { id, userId, kind, now }: { id: string; userId: string; kind: TokenKind; now: Date },
  ): Promise<IssuedToken | undefined> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expiresAt = new Date(now.getTime() + LIFE_MS[kind]);
    // One after the other for one user: several at once would count too few.
    await knex.raw('SELECT id FROM users WHERE id = ? FOR NO KEY UPDATE', [userId]);
    const result = await knex.raw(
      `INSERT INTO auth_tokens (id, user_id, kind, token_hash, expires_at, created_at)
       SELECT :id, :userId, :kind, :hash, :expiresAt, :now
       WHERE (SELECT count(*) FROM auth_tokens WHERE user_id = :userId AND created_at > :since) < ${MOST_AN_HOUR}
       RETURNING id`,
      { id, userId, kind, hash: hashOf(token), expiresAt, now, since: new Date(now.getTime() - HOUR_MS) },
    );
    return result.rows.length > 0 ? { token, expiresAt } : undefined;
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
