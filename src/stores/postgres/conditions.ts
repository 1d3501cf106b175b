import type { Condition } from '../../lib/condition.ts';
import type { Column, Document, EntityDefinition } from '../../lib/entity.ts';

export type { Condition };

/** What conditions are about: an entity, or a table that is none. */
export type Described = Pick<EntityDefinition, 'name' | 'columns'>;

export interface Sort {
  column: string;
  direction: 'asc' | 'desc';
}

/** Where a page starts: the sort value and id of the last row of the page before. */
export interface Position {
  value: unknown;
  id: string;
}

const OPERATORS = { eq: '=', ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;

const castOf = (column: Column): string => (column.type === 'enum' ? 'text' : column.type);
const isText = (column: Column): boolean => column.type === 'text' || column.type === 'enum';

/** Texts are compared byte by byte, whatever the database's collation: the overlay can only do the same. */
const collate = (column: Column): string => (isText(column) ? ' COLLATE "C"' : '');

export interface SqlPart {
  sql: string;
  bindings: unknown[];
}

const columnOf = (entity: Described, name: string): Column => {
  const column = entity.columns[name];
  if (!column) throw new Error(`${entity.name} has no column ${name}`);
  return column;
};

export function conditionSql(entity: Described, condition: Condition): SqlPart {
  if ('anyOf' in condition) {
    const groups = condition.anyOf.map((group) =>
      joinSql(
        group.map((one) => conditionSql(entity, one)),
        ' AND ',
      ),
    );
    return groups.length === 0 ? { sql: 'false', bindings: [] } : joinSql(groups, ' OR ');
  }
  const { column: name, op, value } = condition;
  const column = columnOf(entity, name);
  if (op === 'null' || op === 'notNull')
    return { sql: `"${name}" IS ${op === 'null' ? '' : 'NOT '}NULL`, bindings: [] };
  if (op === 'in') return { sql: `"${name}" = ANY(CAST(? AS ${castOf(column)}[]))`, bindings: [value] };
  return { sql: `"${name}"${collate(column)} ${OPERATORS[op]} CAST(? AS ${castOf(column)})`, bindings: [value] };
}

const joinSql = (parts: readonly SqlPart[], word: string): SqlPart => ({
  sql: `(${parts.map(({ sql }) => sql).join(word)})`,
  bindings: parts.flatMap(({ bindings }) => bindings),
});

/** A part whose bindings have names, for statements that name theirs. */
export function named({ sql, bindings }: SqlPart, prefix: string): { sql: string; bindings: Record<string, unknown> } {
  let next = 0;
  return {
    sql: sql.replaceAll('?', () => `:${prefix}${next++}`),
    bindings: Object.fromEntries(bindings.map((value, place) => [`${prefix}${place}`, value])),
  };
}

export const orderSql = (entity: Described, { column: name, direction }: Sort): string =>
  `"${name}"${collate(columnOf(entity, name))} ${direction}, "id" ${direction}`;

/** Rows behind a position. Nulls are larger than all values, so they come last, or first when descending. */
export function afterSql(entity: Described, { column: name, direction }: Sort, { value, id }: Position): SqlPart {
  const column = columnOf(entity, name);
  const operator = direction === 'asc' ? '>' : '<';
  if (value === null || value === undefined) {
    const amongNulls = `("${name}" IS NULL AND "id" ${operator} ?::uuid)`;
    return { sql: direction === 'asc' ? amongNulls : `(${amongNulls} OR "${name}" IS NOT NULL)`, bindings: [id] };
  }
  const behind = `("${name}"${collate(column)}, "id") ${operator} (?::${castOf(column)}, ?::uuid)`;
  return { sql: direction === 'asc' ? `(${behind} OR "${name}" IS NULL)` : behind, bindings: [value, id] };
}

/** Order of two values of one column as PostgreSQL has it; null counts as larger than all. */
export function compareValues(column: Column, a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  if (isText(column)) return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
  return a < b ? -1 : 1;
}

export const matches = (entity: Described, document: Document, conditions: readonly Condition[]): boolean =>
  conditions.every((condition) => holds(entity, document, condition));

function holds(entity: Described, document: Document, condition: Condition): boolean {
  if ('anyOf' in condition) return condition.anyOf.some((group) => matches(entity, document, group));
  const { column: name, op, value } = condition;
  const own = document[name] ?? null;
  if (op === 'null') return own === null;
  if (op === 'notNull') return own !== null;
  if (own === null) return false;
  const column = columnOf(entity, name);
  if (op === 'in') return (value as unknown[]).includes(own);
  const order = compareValues(column, own, value);
  switch (op) {
    case 'eq':
      return order === 0;
    case 'ne':
      return order !== 0;
    case 'lt':
      return order < 0;
    case 'lte':
      return order <= 0;
    case 'gt':
      return order > 0;
    case 'gte':
      return order >= 0;
  }
}

/** Order of two documents in a list: the sort column, then the id. */
export function compareDocuments(entity: Described, sort: Sort, a: Document, b: Document): number {
  const order =
    compareValues(columnOf(entity, sort.column), a[sort.column], b[sort.column]) ||
    compareValues({ type: 'uuid' }, a.id, b.id);
  return sort.direction === 'asc' ? order : -order;
}

export const isAfter = (entity: Described, sort: Sort, document: Document, after: Position): boolean =>
  compareDocuments(entity, sort, document, { [sort.column]: after.value, id: after.id }) > 0;
