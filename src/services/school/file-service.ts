import {
  BadStateError,
  FileNotReadyError,
  FileSizeError,
  FileTypeError,
  ForbiddenError,
  NotFoundError,
  NotUploadedError,
  StorageUnavailableError,
} from '../../errors/catalogue.ts';
import type { RequestContext } from '../../lib/route.ts';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';
import type { ObjectStore, SignedLink, StoredObject, UploadLink } from '../../stores/objects/object-store.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import type { FileRow, FileStore } from './file-store.ts';
import { type FilePurpose, HEAD_BYTES, looksLike, MOST_BYTES, TYPES, type UploadPurpose } from './file-types.ts';

type Viewer = Pick<RequestContext, 'actor' | 'now' | 'under'>;

/** Whether somebody besides its owner may have a file: asked of the service whose rows name it. */
export type FileReaders = Partial<Record<FilePurpose, (viewer: Viewer, fileId: string) => Promise<boolean>>>;

export interface NewFile {
  purpose: UploadPurpose;
  name: string;
  mime: string;
  size: number;
}

/** DOMAIN §6: uploads that are not completed by then are nobody's. */
const ORPHAN_MS = 86_400_000;
/** Files given up in one step; each costs the store two requests. */
const BATCH_FILES = 100;

const activityOf = (verb: 'create' | 'complete' | 'reject', { id, purpose }: FileRow) => ({
  service: 'auth',
  action: `file.${verb}`,
  entity: { type: 'file', id },
  after: { purpose },
});

/**
 * Files: pending with a link to upload to, then ready, or rejected when the content is not what was said. The bytes go
 * between client and store; only those of imports pass through here.
 */
export class FileService {
  readonly #writes: WriteThrough;
  readonly #store: FileStore;
  readonly #objects: ObjectStore;
  readonly #readers: FileReaders;

  constructor(deps: { writes: WriteThrough; store: FileStore; objects: ObjectStore; readers: FileReaders }) {
    this.#writes = deps.writes;
    this.#store = deps.store;
    this.#objects = deps.objects;
    this.#readers = deps.readers;
  }

  /** @throws FileTypeError, FileSizeError; ForbiddenError for imports of somebody who may not import */
  async create(
    caller: Caller & Pick<RequestContext, 'under'>,
    { purpose, name, mime, size }: NewFile,
  ): Promise<{ file: FileRow; upload: UploadLink }> {
    if (purpose === 'import' && caller.under('users', 'w').scope.length === 0) throw new ForbiddenError();
    if (!TYPES[purpose].has(mime)) {
      const detail = `must be one of ${[...TYPES[purpose]].join(', ')}`;
      throw new FileTypeError({ errors: [{ pointer: '/mime', detail }] });
    }
    if (size > MOST_BYTES[purpose]) {
      throw new FileSizeError({ errors: [{ pointer: '/size', detail: `at most ${MOST_BYTES[purpose]} bytes` }] });
    }
    const id = caller.newId();
    const file: FileRow = {
      id,
      ownerUserId: caller.actor.userId,
      purpose,
      objectKey: `${purpose}/${caller.now.toISOString().slice(0, 10)}/${id}`,
      fileName: name,
      mime,
      sizeBytes: size,
      status: 'pending',
      createdAt: caller.now.toISOString(),
    };
    const upload = await asked(() => this.#objects.uploadLink(file.objectKey, { mime, sizeBytes: size }, caller.now));
    const added = await this.#writes.run(caller, async ({ knex, record }) => {
      await this.#store.add(knex, file, this.#objects.bucket);
      record(activityOf('create', file));
      return file;
    });
    return { file: added, upload };
  }

  /**
   * Looks at what was uploaded and makes the file ready. Said twice, it is ready twice.
   *
   * @throws NotFoundError, NotUploadedError; FileTypeError or FileSizeError for content that is not what was said, which
   *   rejects the file; BadStateError for a rejected one
   */
  async complete(caller: Caller, id: string): Promise<FileRow> {
    const file = await this.#store.find(id);
    if (!file || file.ownerUserId !== caller.actor.userId) throw new NotFoundError();
    if (file.status === 'ready') return file;
    if (file.status === 'rejected') throw new BadStateError('this file was rejected; upload another');
    const { objectKey: key } = file;
    const uploaded = await asked(() => this.#objects.uploaded(key));
    // Accepted by an attempt whose answer was lost.
    const isThere = !uploaded && (await asked(() => this.#objects.accepted(key)));
    if (!uploaded && !isThere) throw new NotUploadedError();
    if (uploaded) {
      const problem = await this.#problemOf(file, uploaded);
      if (problem) {
        await asked(() => this.#objects.discard(key));
        await this.#settle(caller, file, 'rejected');
        throw problem;
      }
      const isSame = await asked(() => this.#objects.accept(key, uploaded.tag, file));
      if (!isSame) throw new NotUploadedError('the file was uploaded again meanwhile; complete it again');
    }
    const isFirst = await this.#settle(caller, file, 'ready');
    // Given up at this very moment, as a day had passed.
    if (!isFirst && (await this.#store.find(id))?.status !== 'ready') throw new NotFoundError();
    return { ...file, status: 'ready' };
  }

  /** A file with a link to it while it is ready. @throws NotFoundError outside the caller's reach */
  async get(viewer: Viewer, id: string): Promise<{ file: FileRow; link: SignedLink | undefined }> {
    const file = await this.#store.find(id);
    if (!file || !(await this.#mayRead(viewer, file))) throw new NotFoundError();
    if (file.status !== 'ready') return { file, link: undefined };
    const link = await asked(() => this.#objects.downloadLink(file.objectKey, file, viewer.now));
    return { file, link };
  }

  /**
   * The content of a ready file.
   *
   * @throws FileNotReadyError unless it is the user's own and of this purpose
   */
  async contentOf(userId: string, id: string, purpose: UploadPurpose): Promise<Buffer> {
    const file = await this.#store.find(id);
    if (file?.ownerUserId !== userId || file.purpose !== purpose || file.status !== 'ready') {
      const detail = `is not a ready ${purpose} file of yours`;
      throw new FileNotReadyError({ errors: [{ pointer: '/file_id', detail }] });
    }
    return asked(() => this.#objects.read(file.objectKey, MOST_BYTES[purpose]));
  }

  /**
   * Gives up what was announced a day ago and never became ready. Its content goes at once, its row a day later together with
   * what a completion of that moment may have put there.
   */
  async purge({ now, progress }: TaskRun): Promise<TaskResult> {
    const scope = { bucket: this.#objects.bucket, before: new Date(now.getTime() - ORPHAN_MS), most: BATCH_FILES };
    const remove = (keys: readonly string[]) => Promise.all(keys.map((key) => this.#objects.remove(key)));
    const done = { rows: 0, uploads: 0 };
    for (let count = BATCH_FILES; count === BATCH_FILES; ) {
      const old = await this.#store.givenUp(scope);
      await remove(old.map(({ key }) => key));
      await this.#store.forget(old.map(({ id }) => id));
      count = old.length;
      done.rows += count;
      await progress(done);
    }
    for (let count = BATCH_FILES; count === BATCH_FILES; ) {
      const keys = await this.#store.giveUp({ ...scope, now });
      await remove(keys);
      count = keys.length;
      done.uploads += count;
      await progress(done);
    }
    return done;
  }

  async #problemOf({ objectKey, mime, sizeBytes }: FileRow, uploaded: StoredObject): Promise<Error | undefined> {
    if (uploaded.sizeBytes !== sizeBytes)
      return new FileSizeError(`the file has ${uploaded.sizeBytes} bytes, not the ${sizeBytes} it was announced with`);
    const head = await asked(() => this.#objects.uploadedHead(objectKey, HEAD_BYTES));
    return looksLike(mime, head) ? undefined : new FileTypeError(`the content is not ${mime}`);
  }

  /** @returns false when another request has settled it before */
  #settle(caller: Caller, file: FileRow, status: 'ready' | 'rejected'): Promise<boolean> {
    return this.#writes.run(caller, async ({ knex, record }) => {
      const isFirst = await this.#store.settle(knex, file.id, status, caller.now);
      if (isFirst) record(activityOf(status === 'ready' ? 'complete' : 'reject', file));
      return isFirst;
    });
  }

  async #mayRead(viewer: Viewer, { id, ownerUserId, purpose, status }: FileRow): Promise<boolean> {
    if (ownerUserId === viewer.actor.userId) return true;
    return status === 'ready' && ((await this.#readers[purpose]?.(viewer, id)) ?? false);
  }
}

/** What the store does not do now, it may do later: it is not the caller's fault. */
async function asked<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    throw new StorageUnavailableError({ headers: { 'Retry-After': '5' }, cause });
  }
}
