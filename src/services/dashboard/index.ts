import type { Knex } from 'knex';
import type { Engine } from '../../engine.ts';
import type { AnyCard } from '../../lib/cards.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EventConsumer } from '../../lib/events.ts';
import type { Log } from '../../lib/log.ts';
import type { Route } from '../../lib/route.ts';
import type { ScheduledTask } from '../../lib/scheduled-task.ts';
import type { School } from '../school/school.ts';
import type { WriteThrough } from '../write-through.ts';
import { createDashboardRoutes } from './dashboard.routes.ts';
import { DashboardService } from './dashboard-service.ts';
import { Leaderboards } from './leaderboards.ts';
import { type PointSources, PointsService } from './points-service.ts';
import { PointsStore } from './points-store.ts';
import { createRankCard } from './rank-card.ts';
import { Touches } from './touches.ts';

export interface Dashboard {
  routes: Route[];
  consumers: EventConsumer[];
  tasks: ScheduledTask[];
  dashboards: DashboardService;
  leaderboards: Leaderboards;
  points: PointsService;
}

/** Builds the dashboard on the cards of the other services, and has it told of changes at once (I4). */
export function createDashboard({
  engine,
  knex,
  school,
  clock,
  log,
  writes,
  cards: others,
  sources,
}: {
  engine: Engine;
  knex: Knex;
  school: School;
  clock: Clock;
  log: Log;
  writes: WriteThrough;
  cards: readonly AnyCard[];
  sources: PointSources;
}): Dashboard {
  const { redis, keys, cache, writer } = engine;
  const touches = new Touches({ redis, keys });
  const store = new PointsStore(knex);
  const leaderboards = new Leaderboards({ redis, keys, store, school });
  const points = new PointsService({ ...sources, store, writes, leaderboards, touches, school, clock });
  const cards: AnyCard[] = [...others, createRankCard({ leaderboards, school })];
  const dashboards = new DashboardService({ cards, touches, cache, school, log });
  writer.onEvents((events) => dashboards.handleAtOnce(events));
  writes.onEvents((events) => dashboards.handleAtOnce(events));
  return {
    routes: createDashboardRoutes({ cards, dashboards, leaderboards, points, school }),
    consumers: [dashboards.consumer, points.consumer],
    tasks: [points.nightlyTask],
    dashboards,
    leaderboards,
    points,
  };
}
