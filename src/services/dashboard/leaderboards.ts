import type { Redis } from 'ioredis';
import type { BufferKeys } from '../../buffer/keys.ts';
import { daysBetween } from '../../lib/clock.ts';
import type { School } from '../school/school.ts';
import { type Ranked, rank } from './leaderboard-rules.ts';
import type { Period, PointsStore } from './points-store.ts';

export const PERIODS = ['month', 'term', 'year'] as const;
export type PeriodName = (typeof PERIODS)[number];

interface NamedPeriod extends Period {
  /** In the key: one set for each month, term and year. */
  key: string;
}

/** DOMAIN §7: a set goes a week after its period. */
const KEPT_AFTER_DAYS = 7;
const DAY_SECONDS = 86_400;

/**
 * KEYS: state, set. ARGV: generation it was read under, period, seconds to live, then score and member in turn.
 * Replaces the set unless something changed meanwhile.
 */
const STORE = `if (redis.call('hget', KEYS[1], 'generation') or '0') ~= ARGV[1] then return 0 end
redis.call('del', KEYS[2])
for i = 4, #ARGV, 2 do redis.call('zadd', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('expire', KEYS[2], ARGV[3])
redis.call('hset', KEYS[1], ARGV[2], ARGV[1])
return 1`;

/**
 * KEYS, ARGV as above. Changes some scores of a set that was right until the change that made this generation; any other
 * is left to be made anew.
 */
const ADJUST = `if redis.call('hget', KEYS[1], 'generation') ~= ARGV[1] then return 0 end
if redis.call('hget', KEYS[1], ARGV[2]) ~= tostring(tonumber(ARGV[1]) - 1) then return 0 end
for i = 4, #ARGV, 2 do redis.call('zadd', KEYS[2], 'XX', ARGV[i], ARGV[i + 1]) end
redis.call('hset', KEYS[1], ARGV[2], ARGV[1])
return 1`;

/**
 * Points of a class as sorted sets, kept at write time and made from the database when they are not there.
 *
 * A set is right for one generation of its class; a change raises the generation after its commit, reads the sums of the
 * students it touched and adjusts the sets that were right until then. A reader serves a set of the present generation only.
 * So a writer that dies between commit and adjustment, and a rebuild that crosses a change, cost one rebuild and nothing else.
 */
export class Leaderboards {
  readonly #redis: Redis;
  readonly #keys: BufferKeys;
  readonly #store: PointsStore;
  readonly #school: School;

  constructor(deps: { redis: Redis; keys: BufferKeys; store: PointsStore; school: School }) {
    this.#redis = deps.redis;
    this.#keys = deps.keys;
    this.#store = deps.store;
    this.#school = deps.school;
  }

  /** The class's students by rank (DB4). */
  async of(classId: string, name: PeriodName, today: string): Promise<Ranked[]> {
    const period = await this.#period(name, today);
    const [points, roster] = await Promise.all([
      this.#points(classId, period, today),
      this.#school.roster(classId, today),
    ]);
    const names = new Map(roster.map(({ studentId, fullName }) => [studentId, fullName]));
    return rank(points.map((entry) => ({ ...entry, name: names.get(entry.studentId) ?? '' })));
  }

  /** After the commit of a change of some students' points. */
  async changed(classId: string, studentIds: readonly string[], today: string): Promise<void> {
    const state = this.#keys.leaderboard(classId, 'state');
    const generation = await this.#redis.hincrby(state, 'generation', 1);
    await Promise.all(
      PERIODS.map(async (name) => {
        const period = await this.#period(name, today);
        const totals = await this.#store.totals(classId, today, period, studentIds);
        await this.#send(ADJUST, classId, period, String(generation), today, totals);
      }),
    );
  }

  /** After a change of who is in the class. */
  async drop(classId: string): Promise<void> {
    await this.#redis.hincrby(this.#keys.leaderboard(classId, 'state'), 'generation', 1);
  }

  /** Makes the present sets of every class anew: nightly, whatever may have gone wrong. */
  async rebuildAll(today: string): Promise<void> {
    for (const { id } of await this.#school.classes()) {
      await this.drop(id);
      for (const name of PERIODS) await this.#points(id, await this.#period(name, today), today);
    }
  }

  async #points(classId: string, period: NamedPeriod, today: string): Promise<{ studentId: string; points: number }[]> {
    let generation: string | undefined;
    try {
      // The state is read first: the set may then be newer than it says, never older.
      const [[present, made], flat] = await Promise.all([
        this.#redis.hmget(this.#keys.leaderboard(classId, 'state'), 'generation', period.key) as Promise<
          [string | null, string | null]
        >,
        this.#redis.zrange(this.#keys.leaderboard(classId, period.key), '0', '-1', 'WITHSCORES'),
      ]);
      generation = present ?? '0';
      if (made === generation && flat.length > 0) {
        return Array.from({ length: flat.length / 2 }, (_, index) => ({
          studentId: flat[index * 2]!,
          points: Number(flat[index * 2 + 1]),
        }));
      }
    } catch {
      // Redis is away; the database is asked
    }
    const totals = await this.#store.totals(classId, today, period);
    if (generation !== undefined) await this.#send(STORE, classId, period, generation, today, totals).catch(() => {});
    return totals;
  }

  async #send(
    script: string,
    classId: string,
    period: NamedPeriod,
    generation: string,
    today: string,
    totals: readonly { studentId: string; points: number }[],
  ): Promise<void> {
    const lifeSeconds = (daysBetween(today, period.to) + 1 + KEPT_AFTER_DAYS) * DAY_SECONDS;
    await this.#redis.eval(
      script,
      2,
      this.#keys.leaderboard(classId, 'state'),
      this.#keys.leaderboard(classId, period.key),
      generation,
      period.key,
      lifeSeconds,
      ...totals.flatMap(({ studentId, points }) => [points, studentId]),
    );
  }

  async #period(name: PeriodName, today: string): Promise<NamedPeriod> {
    const month = today.slice(0, 7);
    const lastDay = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).toISOString();
    const ofMonth = { key: month, from: `${month}-01`, to: lastDay.slice(0, 10) };
    if (name === 'month') return ofMonth;
    const spans = name === 'term' ? await this.#school.terms() : await this.#school.academicYears();
    const span = spans.find(({ startsOn, endsOn }) => startsOn <= today && today <= endsOn);
    // Between two terms there is the month.
    return span ? { key: `${name}-${span.id}`, from: span.startsOn, to: span.endsOn } : ofMonth;
  }
}
