import type { ReachKind } from './reach.ts';

/** One condition of a list; the database and the overlay of pending writes judge it alike. */
export type Condition = Comparison | AnyOf;

export interface Comparison {
  column: string;
  op: 'eq' | 'ne' | 'in' | 'lt' | 'lte' | 'gt' | 'gte' | 'null' | 'notNull';
  value?: unknown;
}

/** Holds when all conditions of one of its groups do; without groups it never does. */
export interface AnyOf {
  anyOf: readonly (readonly Condition[])[];
}

/** A column that names who reaches a row: the row is in reach when the rows of this kind hold the column's value. */
export interface ScopeRule {
  rows: ReachKind;
  column: string;
  /** Rows that the rule is for; all unless told. */
  where?: readonly Condition[];
}
