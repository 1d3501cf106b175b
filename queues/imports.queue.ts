import type { JobsOptions } from 'bullmq';

export const IMPORTS = 'imports';

export const IMPORT_KINDS = ['users', 'students'] as const;
export type ImportKind = (typeof IMPORT_KINDS)[number];

/** Points at an uploaded table; never carries its rows. */
export interface ImportData {
  kind: ImportKind;
  fileId: string;
  /** Rows are checked and none is stored. */
  isDryRun: boolean;
  /** Who asked, and with which roles. */
  userId: string;
  roles: string[];
  requestId: string;
}

/** What is wrong with a row; never repeats what is in it. */
export interface RowError {
  /** Line of the file, the header being 1. */
  line: number;
  /** Null for what no single column is about. */
  column: string | null;
  code: string;
  detail: string;
}

export interface ImportResult {
  rows: number;
  /** Rows stored; in a dry run, those that could be. */
  stored: number;
  failed: number;
  errors: RowError[];
  /** Errors beyond the most that are kept. */
  errorsLeftOff: number;
}

/** A run that breaks begins again and passes over the rows it has stored. */
export const importOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 2_000, jitter: 0.5 }, // delay in ms
  removeOnComplete: { age: 604_800, count: 1_000 },
  removeOnFail: { age: 1_209_600, count: 1_000 },
} satisfies JobsOptions;
