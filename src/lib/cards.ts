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

/**
 * Whose dashboards something changes: one student's, those of a class's students and of who leads it, one member of staff's, the
 * school's, or all.
 */
export type Touch = `student:${string}` | `class:${string}` | `staff:${string}` | 'school' | 'everybody';

/** A card as the dashboard runs it: declared by the service whose data it shows (DB1). */
export interface CardDefinition<K extends DashboardKind = DashboardKind> {
  /** Its field in the answer. */
  name: string;
  dashboard: K;
  /** Of what `load` resolves with; `as_of` is added by the dashboard. */
  schema: Joi.ObjectSchema;
  load(context: CardContexts[K]): Promise<object>;
  /** Which events make it stale, and whose. */
  touches?: Partial<Record<EventName, (event: DomainEvent) => readonly Touch[] | Promise<readonly Touch[]>>>;
}

/** A list of cards of any kind; the dashboard sorts them out. */
export type AnyCard = { [K in DashboardKind]: CardDefinition<K> }[DashboardKind];
