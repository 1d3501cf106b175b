import type { JobsOptions } from 'bullmq';

export const WRITE_POINTERS = 'write-pointers';

/** Says that an entity has dirty keys in a shard since some minute; the dirty index knows which. */
export interface WritePointerData {
  entity: string;
  shard: number;
  /** UTC minute of the first write, e.g. '2031-05-04T08:30'. */
  minute: string;
}

/** Pointers wait for a sync run to take them; no worker of their own processes them. */
export const writePointerOptions = { removeOnComplete: true, removeOnFail: true } satisfies JobsOptions;

/** One pointer an entity, shard and minute, however many writes and processes: adding it again does nothing. */
export const writePointerJobId = ({ entity, shard, minute }: WritePointerData): string =>
  `${entity}-${shard}-${minute.replaceAll(':', '.')}`;
