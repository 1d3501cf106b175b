import { setImmediate } from 'node:timers/promises';
import type { Job, Queue } from 'bullmq';
import {
  type ImportData,
  type ImportKind,
  type ImportResult,
  importOptions,
  type RowError,
} from '../../../queues/imports.queue.ts';
import { NotFoundError } from '../../errors/catalogue.ts';
import { classifyPostgresError, reasonOf } from '../../errors/driver-errors.ts';
import type { Role } from '../../lib/actor.ts';
import type { Clock } from '../../lib/clock.ts';
import { namedId, newId } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { FileService } from '../school/file-service.ts';
import type { Caller, WriteThrough } from '../write-through.ts';
import { readTable, type TableRow } from './csv-table.ts';
import { type ImportRows, isRefusal, type ReadRow, refusalOf, repeated } from './import-kind.ts';

/** Each kind with its own rows; here none of them is looked into. */
// biome-ignore lint/suspicious/noExplicitAny: what a kind reads goes back to the same kind only
export type ImportKinds = Record<ImportKind, ImportRows<any, any>>;

export type JobState = 'waiting' | 'active' | 'completed' | 'failed';

export interface JobView {
  id: string;
  data: ImportData;
  state: JobState;
  progressBp: number;
  createdAt: string;
  finishedAt: string | null;
  result: ImportResult | null;
}

/** More would be a file to begin again with, not a list to work through. */
const MOST_ERRORS = 500;
const PROGRESS_EVERY = 50;

/** Tables of people, uploaded and read by a job: each row by itself, so that a bad one fails alone. */
export class ImportService {
  readonly #queue: Queue<ImportData, ImportResult>;
  readonly #files: FileService;
  readonly #activity: ActivityLog;
  readonly #kinds: ImportKinds;
  readonly #writes: WriteThrough;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(deps: {
    queue: Queue<ImportData, ImportResult>;
    files: FileService;
    activity: ActivityLog;
    kinds: ImportKinds;
    writes: WriteThrough;
    clock: Clock;
    log: Log;
  }) {
    this.#queue = deps.queue;
    this.#files = deps.files;
    this.#activity = deps.activity;
    this.#kinds = deps.kinds;
    this.#writes = deps.writes;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /**
   * Has a table imported. What is wrong with it as a whole is told at once.
   *
   * @throws FileNotReadyError, BadCsvError, BadHeaderError
   */
  async request(caller: Caller, kind: ImportKind, fileId: string, isDryRun: boolean): Promise<JobView> {
    const { userId, roles } = caller.actor;
    const content = await this.#files.contentOf(userId, fileId, 'import');
    await readTable(content, this.#kinds[kind].columns);
    const id = caller.newId();
    const data: ImportData = { kind, fileId, isDryRun, userId, roles: [...roles], requestId: caller.requestId };
    await this.#activity.record(caller, {
      service: 'auth',
      action: `import.${kind}`,
      entity: { type: 'job', id },
      after: { file_id: fileId, dry_run: isDryRun },
    });
    // A repeated request has the same id, and so adds nothing.
    await this.#queue.add(kind, data, { ...importOptions, jobId: id, timestamp: caller.now.getTime() });
    return this.job(caller, id);
  }

  /** @throws NotFoundError unless the caller asked for it, or is an admin */
  async job({ actor }: Pick<Caller, 'actor'>, id: string): Promise<JobView> {
    // In this order: a job that ends in between is shown without its result, never as ended without one.
    const state = await this.#queue.getJobState(id);
    const job: Job<ImportData, ImportResult> | undefined = await this.#queue.getJob(id);
    if (!job || (job.data.userId !== actor.userId && !actor.roles.includes('admin'))) throw new NotFoundError();
    return viewOf(job, state);
  }

  /**
   * Runs an import. Ids of rows follow from the job and the line: a run that begins again passes over what it has stored. A dry
   * run does the same with each row, and takes it back.
   *
   * @param progress called with basis points
   * @throws what no row is to blame for, such as a database that is away: the job is tried again
   */
  async run(jobId: string, data: ImportData, progress: (bp: number) => Promise<void>): Promise<ImportResult> {
    const kind = this.#kinds[data.kind];
    const table = await readTable(await this.#files.contentOf(data.userId, data.fileId, 'import'), kind.columns);
    const { fit, errors } = await readRows(kind, table, jobId);
    let done = 0;
    const attempt = async (row: ReadRow<unknown>, work: (caller: Caller) => Promise<void>): Promise<void> => {
      if (done++ % PROGRESS_EVERY === 0) await progress(Math.floor((10_000 * (done - 1)) / fit.length));
      try {
        await work(this.#callerOf(data));
      } catch (error) {
        if (isRefusal(error)) errors.push(...refusalOf(error, row.line, kind.columnOf));
        else if (classifyPostgresError(error) === 'permanent') errors.push(this.#refused(jobId, row.line, error));
        else throw error;
      }
    };
    if (data.isDryRun) {
      for (const rows of rehearsals(kind, fit))
        await this.#writes.rehearse(async (rehearsal) => {
          for (const row of rows) await attempt(row, (caller) => kind.rehearse(rehearsal, caller, row));
        });
    } else for (const row of fit) await attempt(row, (caller) => kind.store(caller, row));
    await progress(10_000);
    return resultOf(table.length, errors);
  }

  /** What slipped through all schemas: the row fails alone. The database's words may quote it, so they go nowhere. */
  #refused(jobId: string, line: number, error: unknown): RowError {
    const { code, constraint } = reasonOf(error);
    this.#log.warn('imported row refused by the database', { jobId, line, code, constraint });
    return { line, column: null, code: 'REFUSED', detail: `the database refuses this row (${code})` };
  }

  /** The user who asked, as the audit log and the rows name it. */
  #callerOf({ userId, roles, requestId }: ImportData): Caller {
    return {
      actor: { userId, roles: roles as Role[] },
      requestId,
      ip: '',
      now: this.#clock.now(),
      newId,
    };
  }
}

/** Rows that are fit by themselves and beside each other, and what is wrong with the others. */
async function readRows(
  kind: ImportRows,
  table: readonly TableRow[],
  jobId: string,
): Promise<{ fit: ReadRow<unknown>[]; errors: RowError[] }> {
  const errors: RowError[] = [];
  const rows: ReadRow<unknown>[] = [];
  const context = await kind.prepare(table);
  for (const [index, row] of table.entries()) {
    // Other jobs of this process have their turn.
    if (index % PROGRESS_EVERY === 0) await setImmediate();
    const { line } = row;
    const read = row.problems.length === 0 && kind.read(row, context);
    if (!read) errors.push(...row.problems.map((problem) => ({ line, code: 'VALIDATION_FAILED', ...problem })));
    else if ('errors' in read) errors.push(...read.errors);
    else rows.push({ id: namedId('import', jobId, line), line, input: read.input });
  }
  const again = repeated(rows, kind.uniques);
  const lines = new Set(again.map(({ line }) => line));
  return { fit: rows.filter(({ line }) => !lines.has(line)), errors: [...errors, ...again] };
}

/** Rows that take from each other together, the others a few at a time: nobody waits long for what they lock. */
function* rehearsals(kind: ImportRows, rows: readonly ReadRow<unknown>[]): Iterable<readonly ReadRow<unknown>[]> {
  for (const [shared, group] of Map.groupBy(rows, ({ input }) => kind.shares(input))) {
    if (shared !== undefined) yield group;
    else for (let at = 0; at < group.length; at += PROGRESS_EVERY) yield group.slice(at, at + PROGRESS_EVERY);
  }
}

function resultOf(rows: number, found: RowError[]): ImportResult {
  // One cell may be two fields of a request.
  const errors = [...new Map(found.map((error) => [JSON.stringify(error), error])).values()];
  const failed = new Set(errors.map(({ line }) => line)).size;
  const listed = errors.sort((a, b) => a.line - b.line).slice(0, MOST_ERRORS);
  return { rows, stored: rows - failed, failed, errors: listed, errorsLeftOff: errors.length - listed.length };
}

function viewOf(job: Job<ImportData, ImportResult>, state: string): JobView {
  return {
    id: job.id!,
    data: job.data,
    state: state === 'active' || state === 'completed' || state === 'failed' ? state : 'waiting',
    progressBp: typeof job.progress === 'number' ? job.progress : 0,
    createdAt: new Date(job.timestamp).toISOString(),
    finishedAt:
      job.finishedOn && (state === 'completed' || state === 'failed') ? new Date(job.finishedOn).toISOString() : null,
    result: state === 'completed' ? job.returnvalue : null,
  };
}
