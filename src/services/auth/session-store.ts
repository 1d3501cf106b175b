import type { Knex } from 'knex';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeRows } from '../../stores/postgres/purge.ts';

export interface OwnSession {
  id: string;
  ip: string;
  userAgent: string;
  createdAt: string;
  rotatedAt: string;
  expiresAt: string;
}

export interface SessionState {
  userId: string;
  generation: number;
  rotatedAt: string;
}

/** Why a login ended, as `user_sessions.revoke_reason` has it. */
export type RevokeReason =
  | 'logout'
  | 'refresh_reused'
  | 'password_changed'
  | 'password_reset'
  | 'temporary_password'
  | 'roles_changed'
  | 'suspended';

/** Which logins of a user end: one, all, or all but one. */
export interface Revocation {
  userId: string;
  reason: RevokeReason;
  now: Date;
  sid?: string;
  except?: string;
}

/** Logins that are over stay for a while: somebody may ask who it was. */
const KEPT_MS = 30 * 86_400_000;

/** A login that can still be used. */
const ALIVE = 's.revoked_at IS NULL AND s.expires_at > :now';

/** Logins' questions to PostgreSQL. */
export class SessionStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /**
   * Replaces a generation by the next one, if it is the current one still: of several requests one does.
   *
   * @returns whose login it is and when it would have expired
   */
  async rotate(change: {
    sid: string;
    generation: number;
    expiresAt: Date;
    now: Date;
  }): Promise<{ userId: string; expiredAt: string } | undefined> {
    const result = await this.#knex.raw(
      `UPDATE user_sessions s SET generation = s.generation + 1, rotated_at = :now, expires_at = :expiresAt, updated_at = :now
       FROM users u WHERE s.id = :sid AND s.generation = :generation AND ${ALIVE} AND u.id = s.user_id AND u.status = 'active'
       RETURNING s.user_id AS "userId", (SELECT expires_at FROM user_sessions WHERE id = :sid) AS "expiredAt"`,
      change,
    );
    return result.rows[0];
  }

  async find(sid: string, now: Date): Promise<SessionState | undefined> {
    const result = await this.#knex.raw(
      `SELECT s.user_id AS "userId", s.generation, s.rotated_at AS "rotatedAt"
       FROM user_sessions s JOIN users u ON u.id = s.user_id WHERE s.id = :sid AND ${ALIVE} AND u.status = 'active'`,
      { sid, now },
    );
    return result.rows[0];
  }

  /** A user's logins, newest first. @param before id of the last one of the page before */
  async list(
    userId: string,
    { now, limit, before }: { now: Date; limit: number; before: string | undefined },
  ): Promise<OwnSession[]> {
    const result = await this.#knex.raw(
      `SELECT s.id, host(s.ip) AS ip, s.user_agent AS "userAgent", s.created_at AS "createdAt", s.rotated_at AS "rotatedAt", s.expires_at AS "expiresAt"
       FROM user_sessions s WHERE s.user_id = :userId AND ${ALIVE} AND (CAST(:before AS uuid) IS NULL OR s.id < CAST(:before AS uuid))
       ORDER BY s.id DESC LIMIT :limit`,
      { userId, now, limit, before: before ?? null },
    );
    return result.rows;
  }

  /** Ends logins in a statement of its own. @returns how many */
  end(which: Revocation): Promise<number> {
    return this.endIn(this.#knex, which);
  }

  /** Ends logins within a change. @returns how many */
  async endIn(knex: Knex, { userId, reason, now, sid, except }: Revocation): Promise<number> {
    const result = await knex.raw(
      `UPDATE user_sessions s SET revoked_at = :now, revoke_reason = :reason, updated_at = :now
       WHERE s.user_id = :userId AND ${ALIVE} AND (CAST(:sid AS uuid) IS NULL OR s.id = CAST(:sid AS uuid)) AND (CAST(:except AS uuid) IS NULL OR s.id <> CAST(:except AS uuid))`,
      { userId, reason, now, sid: sid ?? null, except: except ?? null },
    );
    return result.rowCount;
  }

  /** Removes logins that expired long ago, whether or not they were ended before. */
  purge(run: TaskRun): Promise<TaskResult> {
    const values = [new Date(run.now.getTime() - KEPT_MS)];
    return purgeRows(
      this.#knex,
      { table: 'user_sessions', key: ['id'], where: 'expires_at < ?', values, order: 'expires_at' },
      run,
    );
  }
}
