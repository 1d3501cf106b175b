import Joi from 'joi';
import type { WriteBuffer } from '../../buffer/write-buffer.ts';
import type { CardDefinition } from '../../lib/cards.ts';

const count = Joi.number().integer().min(0).required();

/** Whether acknowledged writes reach their databases (DB1). */
export const createFlushCard = ({ buffer }: { buffer: WriteBuffer }): CardDefinition<'admin'> => ({
  name: 'flush',
  dashboard: 'admin',
  schema: Joi.object({ waiting: count, failed: count, oldest_seconds: count }),
  async load() {
    const stats = await buffer.stats();
    const oldest = Math.min(...stats.map(({ oldestMs }) => oldestMs ?? Number.POSITIVE_INFINITY));
    return {
      waiting: stats.reduce((sum, { entries }) => sum + entries, 0),
      failed: stats.reduce((sum, { failed }) => sum + failed, 0),
      oldest_seconds: Number.isFinite(oldest) ? Math.max(0, Math.round(((await buffer.nowMs()) - oldest) / 1000)) : 0,
    };
  },
});
