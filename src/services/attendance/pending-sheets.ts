import type { Barrier } from '../../buffer/barrier.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import { addDays, daysBetween } from '../../lib/clock.ts';

/**
 * Stores what the buffer holds of the sheets of some days, both ends included: before something that would have them refused.
 *
 * @throws FlushPendingError when the database does not take them in time
 */
export async function storeSheets(
  { buffer, barrier }: { buffer: WriteBuffer; barrier: Barrier },
  from: string,
  to: string,
): Promise<void> {
  const days = Array.from({ length: daysBetween(from, to) + 1 }, (_, index) => addDays(from, index));
  const keys = await buffer.pendingSheetKeys('attendance', 'on_date', days);
  if (keys.length > 0) await barrier.store('attendance', [...new Set(keys)]);
}
