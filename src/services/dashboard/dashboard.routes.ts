import Joi from 'joi';
import { LeaderboardOffError } from '../../errors/catalogue.ts';
import type { AnyCard, DashboardKind } from '../../lib/cards.ts';
import { idParams, isoInstant, line, reference, schoolDate, uuid, view } from '../../lib/joi.ts';
import { LIMITS } from '../../lib/limits.ts';
import { reaches } from '../../lib/reach.ts';
import { created, defineRoute, ok, type Route } from '../../lib/route.ts';
import type { School } from '../school/school.ts';
import type { CardAnswer, DashboardService } from './dashboard-service.ts';
import { type Ranked, shownToFamily } from './leaderboard-rules.ts';
import { type Leaderboards, PERIODS, type PeriodName } from './leaderboards.ts';
import type { NewPoints, PointsService } from './points-service.ts';

const SERVICE = 'dashboard';
const MANUAL_POINTS = 50;
const read = { capability: 'dashboards', verb: 'r' } as const;

const rowSchema = view({
  rank: Joi.number().integer().min(1),
  student: reference,
  points: Joi.number().integer(),
});

const toRow = ({ rank, studentId, name, points }: Ranked) => ({ rank, student: { id: studentId, name }, points });

const degradedOf = (answers: readonly CardAnswer[]) => {
  const degraded = [...new Set(answers.flatMap((answer) => answer.degraded))];
  return degraded.length > 0 ? { degraded } : {};
};

export const createDashboardRoutes = ({
  cards,
  dashboards,
  leaderboards,
  points,
  school,
}: {
  cards: readonly AnyCard[];
  dashboards: DashboardService;
  leaderboards: Leaderboards;
  points: PointsService;
  school: School;
}): Route[] => {
  const cardsOf = (kind: DashboardKind) =>
    view(
      Object.fromEntries(
        cards
          .filter(({ dashboard }) => dashboard === kind)
          .map(({ name, schema }) => [name, schema.keys({ as_of: isoInstant }).allow(null)]),
      ),
    );

  return [
    defineRoute<Record<string, never>, { student_id?: string }>({
      method: 'GET',
      path: '/dashboard/student',
      service: SERVICE,
      summary: "A student's cards",
      mode: 'R',
      access: { ...read, roles: ['admin', 'principal', 'student', 'parent'] },
      within: { rows: 'students', id: ({ query }) => query.student_id },
      query: Joi.object<{ student_id?: string }>({ student_id: uuid }),
      response: view({ student_id: uuid, cards: cardsOf('student') }),
      async handle(context) {
        const { degraded, ...data } = await dashboards.student(context, context.query.student_id);
        return ok(data, degradedOf([{ ...data, degraded }]));
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/dashboard/parent',
      service: SERVICE,
      summary: "The student's cards of each child",
      mode: 'R',
      access: { ...read, roles: ['parent'] },
      response: view({
        children: Joi.array().items(view({ student_id: uuid, name: Joi.string(), cards: cardsOf('student') })),
      }),
      async handle(context) {
        const children = await dashboards.parent(context);
        return ok({ children: children.map(({ degraded: _, ...child }) => child) }, degradedOf(children));
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/dashboard/teacher',
      service: SERVICE,
      summary: "A teacher's cards",
      mode: 'R',
      access: { ...read, roles: ['teacher'] },
      within: 'self',
      response: view({ cards: cardsOf('teacher') }),
      async handle(context) {
        const answer = await dashboards.teacher(context);
        return ok({ cards: answer.cards }, degradedOf([answer]));
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/dashboard/admin',
      service: SERVICE,
      summary: "The school's cards",
      mode: 'R',
      access: { ...read, roles: ['admin', 'principal'] },
      response: view({ cards: cardsOf('admin') }),
      async handle(context) {
        const answer = await dashboards.admin(context);
        return ok({ cards: answer.cards }, degradedOf([answer]));
      },
    }),
    defineRoute<{ id: string }, { period: PeriodName; limit: number }>({
      method: 'GET',
      path: '/leaderboards/classes/:id',
      service: SERVICE,
      summary: "A class's students by points",
      mode: 'R',
      access: { capability: 'leaderboard', verb: 'r' },
      within: { rows: 'classes', id: ({ params }) => params.id },
      params: idParams,
      query: Joi.object<{ period: PeriodName; limit: number }>({
        period: Joi.string()
          .valid(...PERIODS)
          .default('term'),
        limit: Joi.number().integer().min(1).max(100).default(100),
      }),
      errors: ['LEADERBOARD_OFF'],
      response: view({ rows: Joi.array().items(rowSchema), me: rowSchema.allow(null) }),
      async handle(context) {
        const { params, query, now } = context;
        const reach = await context.reach();
        if (!(await school.settings()).leaderboard_enabled) throw new LeaderboardOffError();
        await school.requireClass(params.id);
        const today = await school.dateAt(now);
        const ranked = await leaderboards.of(params.id, query.period, today);
        const isLed = reaches(reach, 'ledClasses', params.id);
        const shown = isLed ? ranked : shownToFamily(ranked, reach.students);
        const me = ranked.find(({ studentId }) => reach.students.has(studentId));
        return ok({ rows: shown.slice(0, query.limit).map(toRow), me: me ? toRow(me) : null });
      },
    }),
    defineRoute<Record<string, never>, Record<string, never>, NewPoints>({
      method: 'POST',
      path: '/points',
      service: SERVICE,
      summary: 'Give or take points by hand',
      mode: 'T',
      access: { capability: 'points', verb: 'w' },
      within: { orMembersOf: 'taughtClasses', id: ({ body }) => body.student_id },
      body: Joi.object<NewPoints>({
        student_id: uuid.required(),
        points: Joi.number().integer().min(-MANUAL_POINTS).max(MANUAL_POINTS).invalid(0).required(),
        reason: line(LIMITS.point_entries.reason).required(),
      }),
      errors: ['POINTS_LIMIT'],
      response: view({
        id: uuid,
        student_id: uuid,
        points: Joi.number().integer(),
        reason: Joi.string(),
        effective_on: schoolDate,
      }),
      async handle(context) {
        const given = await points.give(context, context.body);
        return created(given, { location: `/api/v1/dashboard/student?student_id=${given.student_id}` });
      },
    }),
  ];
};
