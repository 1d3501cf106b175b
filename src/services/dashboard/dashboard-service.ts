import type { Cache } from '../../cache/cache.ts';
import { NotFoundError } from '../../errors/catalogue.ts';
import { takenOverOn } from '../../lib/actor.ts';
import type {
  AnyCard,
  CardContent,
  CardContexts,
  CardDefinition,
  DashboardKind,
  LiveCardDefinition,
  Touch,
  TouchesOf,
} from '../../lib/cards.ts';
import type { DomainEvent, EventConsumer, EventName } from '../../lib/events.ts';
import type { Log } from '../../lib/log.ts';
import { inReach } from '../../lib/reach.ts';
import type { Reading } from '../../lib/route.ts';
import type { School } from '../school/school.ts';
import type { Touches } from './touches.ts';

type Caller = Pick<Reading, 'actor' | 'now' | 'reach'>;

/** Cards by name; null for one whose source failed. */
export type Cards = Record<string, ({ as_of: string } & object) | null>;

export interface CardAnswer {
  cards: Cards;
  /** Names of the cards that are null. */
  degraded: string[];
}

export interface ChildCards extends CardAnswer {
  student_id: string;
  name: string;
}

/** DOMAIN §7 `dashboard:*`; decision 0021 says why some are kept longer. */
const DASHBOARD_SECONDS = 60;
/** What an admin repairs or gives up may be shown on any dashboard. */
const OF_ALL = ['platform.flush.repaired', 'platform.flush.discarded'] as const;
/** A card that takes longer is left out, so that a slow source slows nobody else down. */
const CARD_MS = 1_500;

/** Cards as they are kept. */
interface KeptCards extends CardAnswer {
  /** Instant from which some card shows something else. */
  until?: string | undefined;
}

interface DashboardDeps {
  cards: readonly AnyCard[];
  touches: Touches;
  cache: Cache;
  school: School;
  log: Log;
  /** Time a card has, ms; tests have less patience. */
  cardMs?: number;
}

/** The cards of one dashboard. */
interface CardsOf<K extends DashboardKind> {
  live: LiveCardDefinition<K>[];
  kept: CardDefinition<K>[];
  /** As long as each of the kept ones may be. */
  keptSeconds: number;
}

/** Runs the cards that services declare, side by side, and keeps what they say until something changes it (DB1). */
export class DashboardService {
  readonly #deps: DashboardDeps;
  /** What each event makes stale, by its name. */
  readonly #touchesOf = new Map<EventName, TouchesOf[]>();
  readonly #cards: { [K in DashboardKind]: CardsOf<K> };

  constructor(deps: DashboardDeps) {
    this.#deps = deps;
    const { cards } = deps;
    this.#cards = {
      student: cardsOf('student', cards),
      teacher: cardsOf('teacher', cards),
      admin: cardsOf('admin', cards),
    };
    for (const name of OF_ALL) this.#touchesOf.set(name, [() => ['everybody']]);
    for (const card of deps.cards) {
      if (isLive(card)) continue;
      const { touches = {} } = card;
      for (const [name, touchesOf] of Object.entries(touches) as [EventName, TouchesOf][]) {
        const others = this.#touchesOf.get(name) ?? [];
        // Cards of one service mostly share theirs.
        if (!others.includes(touchesOf)) this.#touchesOf.set(name, [...others, touchesOf]);
      }
    }
  }

  /** The same dashboards kept elsewhere: a measurement has a cache whose time it sets. */
  withCache(cache: Cache): DashboardService {
    return new DashboardService({ ...this.#deps, cache });
  }

  /** A student's cards, for themselves, their parents and those who run the school. @param asked the caller's own unless told */
  async student(caller: Caller, asked: string | undefined): Promise<CardAnswer & { student_id: string }> {
    const [studentId] = asked ? [asked] : (await caller.reach()).ownStudents;
    if (!studentId) throw new NotFoundError();
    await this.#deps.school.requireStudent(studentId);
    return { student_id: studentId, ...(await this.cardsOfStudent(studentId, caller.now, caller.actor.userId)) };
  }

  /** The cards of each child. */
  async parent(caller: Caller): Promise<ChildCards[]> {
    const [{ children }, reach] = await Promise.all([caller.actor.scopes(), caller.reach()]);
    return Promise.all(
      inReach(reach, 'children', children, ({ studentId }) => studentId).map(async ({ studentId, name }) => ({
        student_id: studentId,
        name,
        ...(await this.cardsOfStudent(studentId, caller.now, caller.actor.userId)),
      })),
    );
  }

  async teacher({ actor, now }: Pick<Caller, 'actor' | 'now'>): Promise<CardAnswer> {
    const scopes = await actor.scopes();
    const { staffId, teaches, homerooms: own } = scopes;
    if (!staffId) throw new NotFoundError();
    const today = await this.#deps.school.dateAt(now);
    const covered = takenOverOn(scopes, today).filter(({ id }) => !own.some((homeroom) => homeroom.id === id));
    const homerooms = [...own, ...covered];
    const touches: Touch[] = [`staff:${staffId}`, ...homerooms.map(({ id }) => `class:${id}` as const)];
    const context = { now, today, staffId, userId: actor.userId, teaches, homerooms };
    const subjects = teaches.map(({ classSubjectId }) => classSubjectId).join();
    return this.#answer('teacher', `dashboard:teacher:${staffId}`, touches, context, actor.userId, subjects);
  }

  async admin({ actor, now }: Pick<Caller, 'actor' | 'now'>): Promise<CardAnswer> {
    const context = { now, today: await this.#deps.school.dateAt(now) };
    return this.#answer('admin', 'dashboard:admin', ['school'], context, actor.userId);
  }

  /** @param viewerId user who looks */
  async cardsOfStudent(studentId: string, now: Date, viewerId: string): Promise<CardAnswer> {
    const today = await this.#deps.school.dateAt(now);
    const classId = await this.#deps.school.classOf(studentId, today);
    const touches: Touch[] = [`student:${studentId}`, `class:${classId ?? ''}`];
    const context = { now, today, studentId, classId };
    return this.#answer('student', `dashboard:student:${studentId}`, touches, context, viewerId);
  }

  /** What makes kept dashboards stale: run at once for one's own buffered writes, and by the workers for everything. */
  get consumer(): EventConsumer {
    const on = [...this.#touchesOf.keys()];
    return { name: 'dashboard', service: 'dashboard', on, handle: (event) => this.handle(event) };
  }

  async handle(event: DomainEvent): Promise<void> {
    const touched = await Promise.all((this.#touchesOf.get(event.name) ?? []).map((touchesOf) => touchesOf(event)));
    await this.#deps.touches.add(touched.flat());
  }

  /** For a writer that waits: a mark that cannot be set leaves a dashboard stale until the workers hear of it, and fails nobody's write. */
  async handleAtOnce(events: readonly DomainEvent[]): Promise<void> {
    for (const event of events)
      await this.handle(event).catch((error: Error) => this.#deps.log.warn('dashboards not told', { error }));
  }

  /** @param inputs what the cards show by, beside the day and those whom touches name: with another it is another dashboard */
  async #answer<K extends DashboardKind>(
    kind: K,
    name: string,
    touches: readonly Touch[],
    context: CardContexts[K],
    viewerId: string,
    inputs = '',
  ): Promise<CardAnswer> {
    const { live, kept, keptSeconds } = this.#cards[kind];
    const [{ value }, seen] = await Promise.all([
      this.#deps.cache.get<KeptCards>({
        name,
        ttlSeconds: keptSeconds,
        mostSeconds: ({ until }) => (until ? (Date.parse(until) - context.now.getTime()) / 1000 : Infinity),
        stamp: async () => {
          const counts = await this.#deps.touches.stamp([...touches, 'everybody']);
          // The day is part of what a dashboard shows.
          return counts && `${context.today} ${counts} ${inputs}`;
        },
        isKept: ({ degraded }) => degraded.length === 0,
        load: () => this.#run(kept, context),
      }),
      this.#run(live, { ...context, viewerId }),
    ]);
    return { cards: { ...value.cards, ...seen.cards }, degraded: [...value.degraded, ...seen.degraded].sort() };
  }

  async #run<C extends { now: Date }>(
    cards: readonly { name: string; dashboard: DashboardKind; load(context: C): Promise<CardContent> }[],
    context: C,
  ): Promise<KeptCards> {
    const { log, cardMs = CARD_MS } = this.#deps;
    const degraded: string[] = [];
    // Of the request: what a card reads is as new at least.
    const as_of = context.now.toISOString();
    const untils: string[] = [];
    const loaded = await Promise.all(
      cards.map(async ({ name, dashboard, load }): Promise<[string, Cards[string]]> => {
        try {
          const { until, ...content } = await withinMs(load(context), cardMs);
          if (until) untils.push(until);
          return [name, { as_of, ...content }];
        } catch (error) {
          log.warn('card left out', { dashboard, card: name, error });
          degraded.push(name);
          return [name, null];
        }
      }),
    );
    return { cards: Object.fromEntries(loaded), degraded, until: untils.sort()[0] };
  }
}

function cardsOf<K extends DashboardKind>(kind: K, cards: readonly AnyCard[]): CardsOf<K> {
  // The casts: a card of this dashboard takes its context.
  const own = cards.filter(({ dashboard }) => dashboard === kind);
  const live = own.filter(isLive) as unknown as LiveCardDefinition<K>[];
  const kept = own.filter((card) => !isLive(card)) as unknown as CardDefinition<K>[];
  return { live, kept, keptSeconds: Math.min(...kept.map((card) => card.keptSeconds ?? DASHBOARD_SECONDS)) };
}

const isLive = (card: AnyCard): card is Extract<AnyCard, { isLive: true }> => 'isLive' in card;

async function withinMs<T>(work: Promise<T>, mostMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${mostMs} ms`)), mostMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
