import type { Knex } from 'knex';
import { IdempotencyMismatchError } from '../../errors/catalogue.ts';
import type { RepeatableRequest } from '../../lib/route.ts';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import { purgeRows } from './purge.ts';

const KEPT = '24 hours';
const MOST_PATH_CHARACTERS = 500;

/**
 * Has an effect once for each request of a user: the transaction that has it also notes that it did, with what came of it. A
 * repetition that runs at the same time waits for the first one's end.
 *
 * @param effect its result must be plain JSON; repetitions get what JSON makes of it, and so does the first
 * @throws IdempotencyMismatchError when the key belongs to another request
 */
export async function onceOnly<T>(
  transaction: Knex.Transaction,
  userId: string,
  { key, method, path, hash }: RepeatableRequest,
  effect: () => Promise<T>,
): Promise<T> {
  const bodyHash = Buffer.from(hash, 'base64url');
  const own = [userId, key];
  const { rows: fresh } = await transaction.raw(
    `INSERT INTO idempotency_keys AS k (user_id, key, method, path, body_hash, expires_at)
     VALUES (?, ?, ?, ?, ?, now() + ?::interval)
     ON CONFLICT (user_id, key) DO UPDATE
       SET method = excluded.method, path = excluded.path, body_hash = excluded.body_hash, response = NULL,
           created_at = now(), expires_at = excluded.expires_at
       WHERE k.expires_at < now()
     RETURNING 1`,
    [...own, method, path.slice(0, MOST_PATH_CHARACTERS), bodyHash, KEPT],
  );
  if (fresh.length > 0) {
    const response = JSON.stringify({ result: await effect() });
    await transaction.raw('UPDATE idempotency_keys SET response = ? WHERE user_id = ? AND key = ?', [response, ...own]);
    return (JSON.parse(response) as { result: T }).result;
  }
  const { rows: earlier } = await transaction.raw(
    'SELECT body_hash, response FROM idempotency_keys WHERE user_id = ? AND key = ?',
    own,
  );
  const [first] = earlier as { body_hash: Buffer; response: { result: T } }[];
  if (!first?.body_hash.equals(bodyHash)) throw new IdempotencyMismatchError();
  return first.response.result;
}

/** Forgets keys that are over, by the clock that gave them their end: the database's. */
export const purgeKeys = (knex: Knex, run: Pick<TaskRun, 'progress'>): Promise<TaskResult> =>
  purgeRows(
    knex,
    { table: 'idempotency_keys', key: ['user_id', 'key'], where: 'expires_at < now()', order: 'expires_at' },
    run,
  );
