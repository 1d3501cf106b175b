import type { JobsOptions } from 'bullmq';
import type { Lane } from '../src/lib/entity.ts';

export const SYNC = 'sync';

export const SYNC_REASONS = [
  'schedule',
  'admin',
  'memory',
  'age',
  'recovered',
  'released',
  'urgent',
  'shutdown',
  'watch',
] as const;
export type SyncReason = (typeof SYNC_REASONS)[number];

/** Asks for a sync run over some lanes; the run finds its keys when it starts. */
export interface SyncData {
  reason: SyncReason;
  lanes: Lane[];
}

export const ALL_LANES: Lane[] = ['urgent', 'fast', 'bulk'];

/** A run that dies is taken up by another worker; one that throws is not repeated, since the next one does its work. */
export const syncOptions = {
  attempts: 1,
  removeOnComplete: { age: 86_400, count: 200 },
  removeOnFail: { age: 604_800, count: 200 },
} satisfies JobsOptions;

let counter = 0;
export const syncJobId = (reason: SyncReason, nowMs: number): string =>
  `run-${nowMs}-${reason}-${process.pid}-${counter++}`;
