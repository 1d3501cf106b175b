import type { Barrier } from '../../buffer/barrier.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { addDays, daysBetween } from '../../lib/clock.ts';

interface Pending {
  buffer: WriteBuffer;
  barrier: Barrier;
}

/**
 * Stores what the buffer holds of the sheets of some days, both ends included: before something that would have them refused.
 *
 * @throws FlushPendingError when the database does not take them in time
 */
export function storeSheets(engine: Pending, from: string, to: string): Promise<void> {
  const days = Array.from({ length: daysBetween(from, to) + 1 }, (_, index) => addDays(from, index));
  return store(engine, 'on_date', days);
}

/** The same for all sheets of a class. @throws FlushPendingError */
export const storeSheetsOf = (engine: Pending, classId: string): Promise<void> => store(engine, 'class_id', [classId]);

async function store({ buffer, barrier }: Pending, column: string, values: readonly string[]): Promise<void> {
  const keys = await buffer.pendingSheetKeys('attendance', column, values);
  if (keys.length > 0) await barrier.store('attendance', [...new Set(keys)]);
}
