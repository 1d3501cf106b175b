import { DelayedError, type Job } from 'bullmq';
import type { ImportData, ImportResult } from '../queues/imports.queue.ts';

export interface ImportDeps {
  /** Runs one import. @param progress called between rows, with basis points of the rows done */
  runImport: (jobId: string, data: ImportData, progress: (bp: number) => Promise<void>) => Promise<ImportResult>;
}

/** A stopping worker's import goes on in another one, or after the restart. */
const RESUME_MS = 1_000;

class Interrupted extends Error {}

/**
 * Imports the table that a job points at; its errors are the job's result. A worker that stops does not wait for the rest: it
 * puts the job back between two rows, which uses up no attempt.
 */
export const createImportProcessor =
  ({ runImport }: ImportDeps, isStopping: () => boolean) =>
  async (job: Job<ImportData, ImportResult>, token?: string): Promise<ImportResult> => {
    const progress = async (bp: number): Promise<void> => {
      if (isStopping()) throw new Interrupted();
      await job.updateProgress(bp);
    };
    try {
      return await runImport(job.id!, job.data, progress);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      await job.moveToDelayed(Date.now() + RESUME_MS, token);
      throw new DelayedError();
    }
  };
