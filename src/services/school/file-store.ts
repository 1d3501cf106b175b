import type { Knex } from 'knex';
import type { FilePurpose } from './file-types.ts';

export interface FileRow {
  id: string;
  ownerUserId: string;
  purpose: FilePurpose;
  objectKey: string;
  fileName: string;
  mime: string;
  sizeBytes: number;
  status: 'pending' | 'ready' | 'rejected' | 'deleted';
  createdAt: string;
}

/** The table `files`. */
export class FileStore {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async find(id: string): Promise<FileRow | undefined> {
    const result = await this.#knex.raw(
      `SELECT id, owner_user_id AS "ownerUserId", purpose, object_key AS "objectKey", file_name AS "fileName", mime,
              size_bytes AS "sizeBytes", status, created_at AS "createdAt"
       FROM files WHERE id = ? AND status <> 'deleted'`,
      [id],
    );
    return result.rows[0];
  }

  async add(knex: Knex, file: FileRow, bucket: string): Promise<void> {
    await knex.raw(
      `INSERT INTO files (id, owner_user_id, purpose, bucket, object_key, file_name, mime, size_bytes, status, created_at, updated_at)
       VALUES (:id, :ownerUserId, :purpose, :bucket, :objectKey, :fileName, :mime, :sizeBytes, :status, :createdAt, :createdAt)`,
      { ...file, bucket },
    );
  }

  /** @returns false when the file was not pending any more */
  async settle(knex: Knex, id: string, status: 'ready' | 'rejected', now: Date): Promise<boolean> {
    const result = await knex.raw(`UPDATE files SET status = ?, updated_at = ? WHERE id = ? AND status = 'pending'`, [
      status,
      now,
      id,
    ]);
    return result.rowCount === 1;
  }

  /**
   * Gives up files of a bucket that were announced long ago and never became ready.
   *
   * @returns keys of their contents; fewer than `most` when these were the last
   */
  async giveUp({ bucket, before, now, most }: { bucket: string; before: Date; now: Date; most: number }) {
    const result = await this.#knex.raw(
      `WITH old AS MATERIALIZED (SELECT id FROM files WHERE status = 'pending' AND created_at < :before AND bucket = :bucket
         ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)
       UPDATE files SET status = 'deleted', updated_at = :now WHERE id IN (SELECT id FROM old) RETURNING object_key AS key`,
      { bucket, before, now, most },
    );
    return (result.rows as { key: string }[]).map(({ key }) => key);
  }

  /** Files of a bucket that were given up before an instant, with the keys of their contents. */
  async givenUp({ bucket, before, most }: { bucket: string; before: Date; most: number }) {
    const result = await this.#knex.raw(
      `SELECT id, object_key AS key FROM files WHERE status = 'deleted' AND updated_at < :before AND bucket = :bucket
       ORDER BY id LIMIT :most`,
      { bucket, before, most },
    );
    return result.rows as { id: string; key: string }[];
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.#knex.raw(`DELETE FROM files WHERE id = ANY(?::uuid[]) AND status = 'deleted'`, [[...ids]]);
  }
}
