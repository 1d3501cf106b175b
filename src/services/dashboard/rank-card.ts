import Joi from 'joi';
import { type CardDefinition, KEPT_WHILE_TOLD_SECONDS } from '../../lib/cards.ts';
import type { School } from '../school/school.ts';
import type { Leaderboards } from './leaderboards.ts';

/** A student's points of the year and place in the class; null in a school without leaderboards. */
export const createRankCard = ({
  leaderboards,
  school,
}: {
  leaderboards: Leaderboards;
  school: School;
}): CardDefinition<'student'> => ({
  name: 'rank',
  dashboard: 'student',
  schema: Joi.object({
    points: Joi.number().integer().allow(null).required(),
    rank: Joi.number().integer().min(1).allow(null).required(),
  }),
  touches: {
    'school.enrollment.changed': ({ payload }) => {
      const { student_id, from, to } = payload as { student_id: string; from?: string | null; to?: string | null };
      return [`student:${student_id}`, ...[from, to].flatMap((id) => (id ? [`class:${id}` as const] : []))];
    },
  },
  // The service that gives points counts them itself.
  keptSeconds: KEPT_WHILE_TOLD_SECONDS,
  async load({ studentId, classId, today }) {
    const { leaderboard_enabled } = await school.settings();
    const ranked = classId && leaderboard_enabled ? await leaderboards.of(classId, 'year', today) : [];
    const own = ranked.find((entry) => entry.studentId === studentId);
    return { points: own?.points ?? null, rank: own?.rank ?? null };
  },
});
