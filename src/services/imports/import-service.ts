import type { Job, Queue } from 'bullmq';
import {
  type ImportData,
  type ImportKind,
  type ImportResult,
  importOptions,
  type RowError,
} from '../../../queues/imports.queue.ts';
import { NotFoundError } from '../../errors/catalogue.ts';
import type { Role } from '../../lib/actor.ts';
import type { Clock } from '../../lib/clock.ts';
import { namedId, newId } from '../../lib/ids.ts';
import type { ActivityLog } from '../activity-log/activity-log.ts';
import type { FileService } from '../school/file-service.ts';
import type { Caller } from '../write-through.ts';
import { readTable } from './csv-table.ts';
import { type ColumnOf, type ImportRows, isRefusal, type ReadRow, refusalOf } from './import-kind.ts';

/** One kind of import: its rows, and how their errors name columns. */
export interface ImportTarget {
  rows: ImportRows;
  columnOf: ColumnOf;
}

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
  readonly #targets: Record<ImportKind, ImportTarget>;
  readonly #clock: Clock;

  constructor(deps: {
    queue: Queue<ImportData, ImportResult>;
    files: FileService;
    activity: ActivityLog;
    targets: Record<ImportKind, ImportTarget>;
    clock: Clock;
  }) {
    this.#queue = deps.queue;
    this.#files = deps.files;
    this.#activity = deps.activity;
    this.#targets = deps.targets;
    this.#clock = deps.clock;
  }

  /**
   * Has a table imported. What is wrong with it as a whole is told at once.
   *
   * @throws FileNotReadyError, BadCsvError, BadHeaderError
   */
  async request(caller: Caller, kind: ImportKind, fileId: string, isDryRun: boolean): Promise<JobView> {
    const { userId, roles } = caller.actor;
    const content = await this.#files.contentOf(userId, fileId, 'import');
    await readTable(content, this.#targets[kind].rows.columns);
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
   * Runs an import. Ids of rows follow from the job and the line: a run that begins again passes over what it has stored.
   *
   * @param progress called with basis points
   * @throws what no row is to blame for, such as a database that is away: the job is tried again
   */
  async run(jobId: string, data: ImportData, progress: (bp: number) => Promise<void>): Promise<ImportResult> {
    const { rows: kind, columnOf } = this.#targets[data.kind];
    const table = await readTable(await this.#files.contentOf(data.userId, data.fileId, 'import'), kind.columns);
    const errors: RowError[] = [];
    const fit: ReadRow<unknown>[] = [];
    const context = await kind.prepare();
    for (const row of table) {
      const { line } = row;
      if (row.problems.length > 0) {
        errors.push(...row.problems.map((problem) => ({ line, code: 'VALIDATION_FAILED', ...problem })));
        continue;
      }
      const read = kind.read(row, context);
      if ('errors' in read) errors.push(...read.errors);
      else fit.push({ id: namedId('import', jobId, line), line, input: read.input });
    }
    const stored = await kind.stored(fit);
    const waiting = fit.filter(({ id }) => !stored.has(id));
    if (data.isDryRun) errors.push(...(await kind.check(waiting)));
    else {
      for (const [index, row] of waiting.entries()) {
        if (index % PROGRESS_EVERY === 0) await progress(Math.floor((10_000 * index) / waiting.length));
        try {
          await kind.store(this.#callerOf(data), row);
        } catch (error) {
          if (!isRefusal(error)) throw error;
          errors.push(...refusalOf(error, row.line, columnOf));
        }
      }
    }
    await progress(10_000);
    return resultOf(table.length, errors);
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

function resultOf(rows: number, errors: RowError[]): ImportResult {
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
