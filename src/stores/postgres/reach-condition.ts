import type { Condition, ScopeRule } from '../../lib/condition.ts';
import type { Reach } from '../../lib/reach.ts';

/**
 * What a reach means for rows with such columns: the one place where scopes become conditions. PostgreSQL judges them in a list,
 * `matches` on documents that are not stored yet.
 *
 * @returns undefined where everything is in reach
 */
export function reachCondition(rules: readonly ScopeRule[], reach: Reach): Condition | undefined {
  if (reach.all) return undefined;
  return {
    anyOf: rules
      .filter(({ rows }) => reach[rows].size > 0)
      .map(({ rows, column, where = [] }) => [{ column, op: 'in', value: [...reach[rows]] }, ...where]),
  };
}

/** The rule by which values of a column alone decide, if there is such a rule. */
const plainRules = (rules: readonly ScopeRule[], column: string): ScopeRule[] =>
  rules.filter((rule) => rule.column === column && rule.where === undefined);

/**
 * The same for a list by a relation. Values that are in reach by themselves need no condition, so that pages of one class are kept
 * once for all who see it; where nothing else decides, the others are left out.
 */
export function relationInReach(
  rules: readonly ScopeRule[],
  { column, values }: { column: string; values: readonly string[] },
  reach: Reach,
): { values: readonly string[]; condition?: Condition } {
  if (reach.all) return { values };
  const plain = plainRules(rules, column);
  const known = values.filter((value) => plain.some(({ rows }) => reach[rows].has(value)));
  if (known.length === values.length || plain.length === rules.length) return { values: known };
  const condition = reachCondition(rules, reach);
  return { values, ...(condition ? { condition } : {}) };
}
