import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { NotFoundError } from '../../errors/catalogue.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { HomeworkService } from './homework-service.ts';
import type { HomeworkStore } from './homework-store.ts';
import type { SubmissionService } from './submission-service.ts';

type Viewer = Pick<RequestContext, 'under'>;

/** Who may have the files of homework and of what was handed in: whoever may read the row that names them. */
export class HomeworkFiles {
  readonly #buffer: WriteBuffer;
  readonly #store: HomeworkStore;
  readonly #homework: HomeworkService;
  readonly #submissions: SubmissionService;

  constructor(deps: {
    buffer: WriteBuffer;
    store: HomeworkStore;
    homework: HomeworkService;
    submissions: SubmissionService;
  }) {
    this.#buffer = deps.buffer;
    this.#store = deps.store;
    this.#homework = deps.homework;
    this.#submissions = deps.submissions;
  }

  /** A file given with homework. */
  async mayReadGiven(viewer: Viewer, fileId: string): Promise<boolean> {
    const stored = await this.#store.homeworkWith(fileId);
    const pending = stored.length > 0 ? [] : await this.#pendingWith('homework', fileId);
    const ids = [...stored, ...pending.map(({ id }) => String(id))];
    const reader = viewer.under('homework', 'r');
    return anyOf(ids, (id) => this.#homework.get(reader, id));
  }

  /** A file handed in by a student. */
  async mayReadHandedIn(viewer: Viewer, fileId: string): Promise<boolean> {
    const stored = await this.#store.submissionsWith(fileId);
    const pending = stored.length > 0 ? [] : await this.#pendingWith('homework_submission', fileId);
    const found = [
      ...stored,
      ...pending.map((row) => ({ homeworkId: String(row.homework_id), studentId: String(row.student_id) })),
    ];
    const reader = viewer.under('homework', 'r');
    return anyOf(found, ({ homeworkId, studentId }) => this.#submissions.get(reader, homeworkId, studentId));
  }

  /** What is not stored yet is few, and asked for only when the table knows nothing. */
  async #pendingWith(entity: 'homework' | 'homework_submission', fileId: string) {
    const pending = await this.#buffer.pendingAll(entity);
    return pending
      .map(({ document }) => document)
      .filter(({ file_ids }) => Array.isArray(file_ids) && file_ids.includes(fileId));
  }
}

async function anyOf<T>(candidates: readonly T[], read: (candidate: T) => Promise<unknown>): Promise<boolean> {
  for (const candidate of candidates) {
    try {
      await read(candidate);
      return true;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
  return false;
}
