import type { Barrier } from '../../buffer/barrier.ts';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';

/**
 * Stores what the buffer holds of the homework of some class-subjects: before something that must know whether there is any.
 *
 * @throws FlushPendingError when the database does not take it in time
 */
export async function storeHomeworkOf(
  { buffer, barrier }: { buffer: WriteBuffer; barrier: Barrier },
  classSubjectIds: readonly string[],
): Promise<void> {
  const pending = await buffer.pendingOf('homework', 'class_subject_id', classSubjectIds);
  if (pending.length > 0)
    await barrier.store(
      'homework',
      pending.map(({ key }) => key),
    );
}
