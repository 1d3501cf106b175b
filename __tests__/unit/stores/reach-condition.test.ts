import { describe, expect, it } from 'vitest';
import type { ScopeRule } from '../../../src/lib/condition.ts';
import { int, uuid } from '../../../src/lib/entity.ts';
import { EVERYTHING, type Reach } from '../../../src/lib/reach.ts';
import { conditionSql, matches, named } from '../../../src/stores/postgres/conditions.ts';
import { reachCondition, relationInReach } from '../../../src/stores/postgres/reach-condition.ts';

const loans = { name: 'loan', columns: { issued_to: uuid, class_id: uuid, period: int } };
/** A loan is its holder's, and in the first period its class's. */
const rules: readonly ScopeRule[] = [
  { rows: 'users', column: 'issued_to' },
  { rows: 'homerooms', column: 'class_id', where: [{ column: 'period', op: 'eq', value: 0 }] },
];
const limited = (rows: Partial<Reach>): Reach => ({ ...EVERYTHING, all: false, ...rows });
const isIn = (reach: Reach, document: Record<string, unknown>): boolean => {
  const condition = reachCondition(rules, reach);
  return condition === undefined || matches(loans, document, [condition]);
};

describe('reach as a condition', () => {
  it('is none where everything is in reach', () => {
    expect(reachCondition(rules, EVERYTHING)).toBeUndefined();
  });

  it('holds for rows that one of the rules names', () => {
    const reach = limited({ users: new Set(['me']), homerooms: new Set(['c1']) });
    expect(isIn(reach, { issued_to: 'me', class_id: 'c9', period: 4 })).toBe(true);
    expect(isIn(reach, { issued_to: 'you', class_id: 'c1', period: 0 })).toBe(true);
    expect(isIn(reach, { issued_to: 'you', class_id: 'c1', period: 4 })).toBe(false);
    expect(isIn(reach, { issued_to: null, class_id: null, period: 0 })).toBe(false);
  });

  it('holds for no row where nothing is in reach, in SQL too', () => {
    const condition = reachCondition(rules, limited({}))!;
    expect(matches(loans, { issued_to: 'me', class_id: 'c1', period: 0 }, [condition])).toBe(false);
    expect(conditionSql(loans, condition)).toEqual({ sql: 'false', bindings: [] });
  });

  it('is one part of a statement, with bindings by place or by name', () => {
    const reach = limited({ users: new Set(['me']), homerooms: new Set(['c1', 'c2']) });
    const part = conditionSql(loans, reachCondition(rules, reach)!);
    expect(part).toEqual({
      sql: `(("issued_to" = ANY(CAST(? AS uuid[]))) OR ("class_id" = ANY(CAST(? AS uuid[])) AND "period" = CAST(? AS int)))`,
      bindings: [['me'], ['c1', 'c2'], 0],
    });
    expect(named(part, 'in')).toEqual({
      sql: `(("issued_to" = ANY(CAST(:in0 AS uuid[]))) OR ("class_id" = ANY(CAST(:in1 AS uuid[])) AND "period" = CAST(:in2 AS int)))`,
      bindings: { in0: ['me'], in1: ['c1', 'c2'], in2: 0 },
    });
  });
});

describe('reach of a list by a relation', () => {
  const plain: readonly ScopeRule[] = [{ rows: 'classSubjects', column: 'class_subject_id' }];
  const relation = (...values: string[]) => ({ column: 'class_subject_id', values });

  it('adds nothing where everything is in reach', () => {
    expect(relationInReach(plain, relation('a', 'b'), EVERYTHING)).toEqual({ values: ['a', 'b'] });
  });

  it('leaves out values of others, and asks no more of the rest: their pages are the same for everybody', () => {
    const reach = limited({ classSubjects: new Set(['b', 'c', 'z']) });
    expect(relationInReach(plain, relation('a', 'b', 'c'), reach)).toEqual({ values: ['b', 'c'] });
    expect(relationInReach(plain, relation('a'), reach)).toEqual({ values: [] });
  });

  it('asks of each row where another column may decide', () => {
    const both: readonly ScopeRule[] = [...plain, { rows: 'students', column: 'student_id' }];
    const reach = limited({ classSubjects: new Set(['b']), students: new Set(['s']) });
    expect(relationInReach(both, relation('b'), reach)).toEqual({ values: ['b'] });
    expect(relationInReach(both, relation('a', 'b'), reach)).toEqual({
      values: ['a', 'b'],
      condition: reachCondition(both, reach),
    });
  });
});
