import { DelayedError, type Job } from 'bullmq';
import type { ImportData, ImportResult } from '../queues/imports.queue.ts';
import { isDatabaseAway } from '../src/errors/driver-errors.ts';

export interface ImportDeps {
  /** Runs one import. @param progress called between rows, with basis points of the rows done */
  runImport: (jobId: string, data: ImportData, progress: (bp: number) => Promise<void>) => Promise<ImportResult>;
}

/** A stopping worker's import goes on in another one, or after the restart. */
const RESUME_MS = 1_000;
/** How soon an import looks again whether its database is back. */
const AWAY_MS = 5_000;

class Interrupted extends Error {}

/**
 * Imports the table that a job points at; its errors are the job's result. A worker that stops does not wait for the rest: it
 * puts the job back between two rows, which uses up no attempt; neither does a database that is away.
 */
export const createImportProcessor =
  ({ runImport }: ImportDeps, isStopping: () => boolean, awayMs = AWAY_MS) =>
  async (job: Job<ImportData, ImportResult>, token?: string): Promise<ImportResult> => {
    const progress = async (bp: number): Promise<void> => {
      if (isStopping()) throw new Interrupted();
      await job.updateProgress(bp);
    };
    try {
      return await runImport(job.id!, job.data, progress);
    } catch (error) {
      const isInterrupted = error instanceof Interrupted;
      if (!isInterrupted && !isDatabaseAway(error)) throw error;
      await job.moveToDelayed(Date.now() + (isInterrupted ? RESUME_MS : awayMs), token);
      throw new DelayedError();
    }
  };
