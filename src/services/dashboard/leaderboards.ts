import type { Redis } from 'ioredis';
import type { BufferKeys } from '../../buffer/keys.ts';
import { daysBetween } from '../../lib/clock.ts';
import { SCHOOL_COPIES, type School } from '../school/school.ts';
import { type Ranked, rank } from './leaderboard-rules.ts';
import type { Period, PointsStore } from './points-store.ts';

export const PERIODS = ['month', 'term', 'year'] as const;
export type PeriodName = (typeof PERIODS)[number];

interface NamedPeriod extends Period {
  /** In the key, the month or both ends: a term or year whose dates change has another set. */
  key: string;
}

/** What is known of a class's sets. */
interface State {
  generation: string;
  /** What the period's set is right for; null when there is none. */
  made: string | null;
}

/** DOMAIN §7: a set goes a week after its period. */
const KEPT_AFTER_DAYS = 7;
const DAY_SECONDS = 86_400;
/** A ranking is made anew this often though no points have changed: names may have. */
const RANKING_MS = 5_000;
const MOST_RANKINGS = 1_000;

interface Ranking {
  generation: string;
  untilMs: number;
  ranked: readonly Ranked[];
}

/**
 * KEYS: state, set. ARGV: generation it was read under, period, seconds to live, school date, then score and member in turn.
 * Replaces the set unless something changed meanwhile.
 */
const STORE = `if (redis.call('hget', KEYS[1], 'generation') or '0') ~= ARGV[1] then return 0 end
redis.call('del', KEYS[2])
for i = 5, #ARGV, 2 do redis.call('zadd', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('expire', KEYS[2], ARGV[3])
redis.call('hset', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[4])
return 1`;

/**
 * KEYS, ARGV as above. Changes some scores of a set that was right until the change that made this generation; any other
 * is left to be made anew.
 */
const ADJUST = `if redis.call('hget', KEYS[1], 'generation') ~= ARGV[1] then return 0 end
if redis.call('hget', KEYS[1], ARGV[2]) ~= (tonumber(ARGV[1]) - 1) .. ' ' .. ARGV[4] then return 0 end
for i = 5, #ARGV, 2 do redis.call('zadd', KEYS[2], 'XX', ARGV[i], ARGV[i + 1]) end
redis.call('hset', KEYS[1], ARGV[2], ARGV[1] .. ' ' .. ARGV[4])
return 1`;

/**
 * Points of a class as sorted sets, kept at write time and made from the database when they are not there.
 *
 * A set is right for one generation of its class and one school date, since whoever joins or leaves does so on a date that may be
 * to come. A change raises the generation after its commit, reads the sums of the students it touched and adjusts the sets that
 * were right until then. A reader serves a set of the present generation and date only.
 * So a writer that dies between commit and adjustment, and a rebuild that crosses a change, cost one rebuild and nothing else.
 */
export class Leaderboards {
  readonly #redis: Redis;
  readonly #keys: BufferKeys;
  readonly #store: PointsStore;
  readonly #school: School;
  /** Rankings of this process, each right for its generation. */
  readonly #rankings = new Map<string, Ranking>();

  constructor(deps: { redis: Redis; keys: BufferKeys; store: PointsStore; school: School }) {
    this.#redis = deps.redis;
    this.#keys = deps.keys;
    this.#store = deps.store;
    this.#school = deps.school;
  }

  /** The class's students by rank (DB4). */
  async of(classId: string, name: PeriodName, today: string): Promise<readonly Ranked[]> {
    const period = await this.#period(name, today);
    const key = `${classId} ${period.key} ${today}`;
    const state = await this.#stateOf(classId, period);
    const known = this.#rankings.get(key);
    if (known && known.generation === state?.generation && known.untilMs > performance.now()) return known.ranked;
    const [{ points, isKept }, kept] = await Promise.all([
      this.#points(classId, period, today, state),
      this.#school.roster(classId, today),
    ]);
    const members = new Set(kept.map(({ studentId }) => studentId));
    let roster = kept;
    if (points.some(({ studentId }) => !members.has(studentId))) {
      // Somebody has joined since the roster was kept.
      await this.#school.forget(SCHOOL_COPIES.roster(classId));
      roster = await this.#school.roster(classId, today);
    }
    const names = new Map(roster.map(({ studentId, fullName }) => [studentId, fullName]));
    const ranked = rank(
      points.flatMap(({ studentId, points: sum }) => {
        const name = names.get(studentId);
        return name === undefined ? [] : [{ studentId, points: sum, name }];
      }),
    );
    if (isKept && state) {
      if (this.#rankings.size >= MOST_RANKINGS) this.#rankings.clear();
      this.#rankings.set(key, { generation: state.generation, untilMs: performance.now() + RANKING_MS, ranked });
    }
    return ranked;
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
      for (const name of PERIODS) {
        const period = await this.#period(name, today);
        await this.#points(id, period, today, await this.#stateOf(id, period));
      }
    }
  }

  /** The class's generation, and the one that the period's set is right for; undefined when Redis is away. */
  async #stateOf(classId: string, { key }: NamedPeriod): Promise<State | undefined> {
    try {
      const [generation, made] = await this.#redis.hmget(this.#keys.leaderboard(classId, 'state'), 'generation', key);
      return { generation: generation ?? '0', made: made ?? null };
    } catch {
      return undefined;
    }
  }

  /** @param state read before: the set may then be newer than it says, never older */
  async #points(
    classId: string,
    period: NamedPeriod,
    today: string,
    state: State | undefined,
  ): Promise<{ points: { studentId: string; points: number }[]; isKept: boolean }> {
    if (state && state.made === `${state.generation} ${today}`) {
      const set = this.#keys.leaderboard(classId, period.key);
      const flat = await this.#redis.zrange(set, '0', '-1', 'WITHSCORES').catch((): string[] => []);
      if (flat.length > 0) {
        const points = Array.from({ length: flat.length / 2 }, (_, index) => ({
          studentId: flat[index * 2]!,
          points: Number(flat[index * 2 + 1]),
        }));
        return { points, isKept: true };
      }
    }
    const totals = await this.#store.totals(classId, today, period);
    if (state) await this.#send(STORE, classId, period, state.generation, today, totals).catch(() => {});
    return { points: totals, isKept: false };
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
      today,
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
    return span ? { key: `${span.startsOn}~${span.endsOn}`, from: span.startsOn, to: span.endsOn } : ofMonth;
  }
}
