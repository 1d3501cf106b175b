import type { Db } from 'mongodb';
import type { TaskResult, TaskRun } from '../../lib/scheduled-task.ts';

const BATCH_DOCUMENTS = 1_000;

/**
 * Deletes documents whose `expire_at` has passed, as their TTL index does on servers that have one. In bounded batches, so that
 * no command takes long.
 */
export async function purgeExpired(
  db: Db,
  name: string,
  { now, progress }: Pick<TaskRun, 'now' | 'progress'>,
): Promise<TaskResult> {
  const collection = db.collection(name);
  const isOver = { expire_at: { $lt: now } };
  for (let deleted = 0; ; ) {
    const old = await collection
      .find(isOver, { projection: { _id: 1 } })
      .limit(BATCH_DOCUMENTS)
      .toArray();
    const ids = old.map(({ _id }) => _id);
    const { deletedCount } = await collection.deleteMany({ ...isOver, _id: { $in: ids } });
    deleted += deletedCount;
    await progress({ deleted });
    // None of a batch: the server's own index was faster.
    if (old.length < BATCH_DOCUMENTS || deletedCount === 0) return { deleted };
  }
}
