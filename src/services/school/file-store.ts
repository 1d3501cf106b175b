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
}
