import { createHash, randomFillSync } from 'node:crypto';
import { v5, v7 } from 'uuid';

/** Namespace of ids that follow from a natural key; the demo school uses the same. */
const NAMESPACE = '5c400124-0024-5024-8024-000000000024';

/** Random bytes are asked of the system for so many ids at once: a call for each costs more than all the rest of an id. */
const POOLED_IDS = 256;
const RANDOM_BYTES = 16;
const pool = Buffer.allocUnsafe(POOLED_IDS * RANDOM_BYTES);
let used = pool.length;
let lastMs = 0;
let lastSequence = 0;

/** Starts of a millisecond's sequence leave room above them, so that it can rise without running over. */
const SEQUENCE_START_BITS = 0x0fff_ffff;

/** A new id: UUIDv7, rising within a process, so rows of one time lie together in an index. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  const nowMs = Date.now();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    lastSequence = random.readUInt32BE(0) & SEQUENCE_START_BITS;
  } else lastSequence++; // also when the clock was set back
  return v7({ msecs: lastMs, seq: lastSequence, random });
}

/**
 * The id of a row that its natural key names: known before the row is stored, and the same in every process.
 *
 * @param parts kind first, for example `'sheet', classId, date`
 */
export const namedId = (...parts: readonly (string | number)[]): string => v5(parts.join(':'), NAMESPACE);

/** The id of a class's roll on a date, or of one period of it; period 0 is the day's roll. */
export const sheetId = (classId: string, onDate: string, periodNo = 0): string =>
  periodNo === 0 ? namedId('sheet', classId, onDate) : namedId('sheet', classId, onDate, `p${periodNo}`);

/** The id of what a student hands in for a homework, whatever its revision. */
export const submissionId = (homeworkId: string, studentId: string): string =>
  namedId('submission', homeworkId, studentId);

/**
 * Ids that come out the same whenever the same request runs again: shaped like `newId()`, with the bits that are random
 * there taken from the seed and the id's place in the sequence.
 *
 * @param seed unique to the request
 * @param atMs instant of the first run of the request
 */
export function idSequence(seed: string, atMs: number): () => string {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  // `seq` takes the bits after the instant, so ids of one request rise with their place.
  const base = digest(seed).readUInt32BE(0) & 0x7fff_0000;
  let place = 0;
  return () => v7({ msecs: atMs, random: digest(`${seed}:${place}`), seq: base + (place++ & 0xffff) });
}
