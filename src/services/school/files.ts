import type { Knex } from 'knex';
import { FileNotReadyError, FileTypeError } from '../../errors/catalogue.ts';
import { TYPES, type UploadPurpose } from './file-types.ts';

/** Uploaded files as other services refer to them. */
export class Files {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /**
   * H5: every file is there, belongs to the user and was uploaded for this purpose.
   *
   * @param pointer place of the list, or of the only id, in the request
   * @throws FileNotReadyError, FileTypeError naming each file
   */
  async requireUsable(userId: string, purpose: UploadPurpose, ids: readonly string[], pointer: string): Promise<void> {
    if (ids.length === 0) return;
    const result = await this.#knex.raw(
      `SELECT id, mime FROM files WHERE id = ANY(?::uuid[]) AND owner_user_id = ? AND purpose = ? AND status = 'ready'`,
      [[...ids], userId, purpose],
    );
    const types = new Map((result.rows as { id: string; mime: string }[]).map(({ id, mime }) => [id, mime]));
    const errorsOf = (isBad: (id: string) => boolean, detail: string) =>
      ids.filter(isBad).map((id) => ({ pointer, detail: `${id} ${detail}` }));
    const absent = errorsOf((id) => !types.has(id), `is not a ready ${purpose} file of yours`);
    if (absent.length > 0) throw new FileNotReadyError({ errors: absent });
    const wrong = errorsOf((id) => !TYPES[purpose].has(types.get(id)!), 'is not of a type that is taken here');
    if (wrong.length > 0) throw new FileTypeError({ errors: wrong });
  }
}
