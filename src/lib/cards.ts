import type Joi from 'joi';
import type { ClassRef, TaughtSubject } from './actor.ts';
import type { DomainEvent, EventName } from './events.ts';

/** What a card is loaded for. A parent's dashboard is the students' cards of each child. */
export interface CardContexts {
  student: { now: Date; today: string; studentId: string; classId: string | undefined };
  teacher: {
    now: Date;
    today: string;
    staffId: string;
    userId: string;
    teaches: readonly TaughtSubject[];
    /** Those taken over today, too. */
    homerooms: readonly ClassRef[];
  };
  admin: { now: Date; today: string };
}

export type DashboardKind = keyof CardContexts;

/** What a card shows. */
export interface CardContent {
  /** Instant, ISO 8601, from which it shows something else even if nothing happens; not a part of the answer. */
  until?: string | undefined;
  [field: string]: unknown;
}

/**
 * Whose dashboards something changes: one student's, those of a class's students and of who leads it, one member of staff's, the
 * school's, or all.
 */
export type Touch = `student:${string}` | `class:${string}` | `staff:${string}` | 'school' | 'everybody';

export type TouchesOf = (event: DomainEvent) => readonly Touch[] | Promise<readonly Touch[]>;

/** How long a card is kept whose changes are all told: as events, or, where the clock makes them, as `until`. */
export const KEPT_WHILE_TOLD_SECONDS = 300;

interface Card<K extends DashboardKind> {
  /** Its field in the answer. */
  name: string;
  dashboard: K;
  /** Of what `load` resolves with; `as_of` is added by the dashboard. */
  schema: Joi.ObjectSchema;
}

/** A card as the dashboard runs and keeps it: declared by the service whose data it shows (DB1). */
export interface CardDefinition<K extends DashboardKind = DashboardKind> extends Card<K> {
  load(context: CardContexts[K]): Promise<CardContent>;
  /** Which events make it stale, and whose. */
  touches?: Partial<Record<EventName, TouchesOf>>;
  /** A minute unless told. */
  keptSeconds?: number;
}

/** A card that depends on who looks, or has a cache of its own: loaded at each look. */
export interface LiveCardDefinition<K extends DashboardKind = DashboardKind> extends Card<K> {
  isLive: true;
  /** @param context with the user who looks: the student, a parent, or who runs the school */
  load(context: CardContexts[K] & { viewerId: string }): Promise<CardContent>;
}

/** A card of any kind; the dashboard sorts them out. */
export type AnyCard = { [K in DashboardKind]: CardDefinition<K> | LiveCardDefinition<K> }[DashboardKind];
