import type { Column, Document, EntityDefinition } from '../../lib/entity.ts';

/** One condition of a list; the database and the overlay of pending writes judge it alike. */
export interface Condition {
  column: string;
  op: 'eq' | 'ne' | 'in' | 'lt' | 'lte' | 'gt' | 'gte' | 'null' | 'notNull';
  value?: unknown;
}

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

const columnOf = (entity: EntityDefinition, name: string): Column => {
  const column = entity.columns[name];
  if (!column) throw new Error(`${entity.name} has no column ${name}`);
  return column;
};

export function conditionSql(entity: EntityDefinition, { column: name, op, value }: Condition): SqlPart {
  const column = columnOf(entity, name);
  if (op === 'null' || op === 'notNull')
    return { sql: `"${name}" IS ${op === 'null' ? '' : 'NOT '}NULL`, bindings: [] };
  if (op === 'in') return { sql: `"${name}" = ANY(?::${castOf(column)}[])`, bindings: [value] };
  return { sql: `"${name}"${collate(column)} ${OPERATORS[op]} ?::${castOf(column)}`, bindings: [value] };
}

export const orderSql = (entity: EntityDefinition, { column: name, direction }: Sort): string =>
  `"${name}"${collate(columnOf(entity, name))} ${direction}, "id" ${direction}`;

/** Rows behind a position. Nulls are larger than all values, so they come last, or first when descending. */
export function afterSql(
  entity: EntityDefinition,
  { column: name, direction }: Sort,
  { value, id }: Position,
): SqlPart {
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

export const matches = (entity: EntityDefinition, document: Document, conditions: readonly Condition[]): boolean =>
  conditions.every((condition) => holds(entity, document, condition));

function holds(entity: EntityDefinition, document: Document, { column: name, op, value }: Condition): boolean {
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
export function compareDocuments(entity: EntityDefinition, sort: Sort, a: Document, b: Document): number {
  const order =
    compareValues(columnOf(entity, sort.column), a[sort.column], b[sort.column]) ||
    compareValues({ type: 'uuid' }, a.id, b.id);
  return sort.direction === 'asc' ? order : -order;
}

export const isAfter = (entity: EntityDefinition, sort: Sort, document: Document, after: Position): boolean =>
  compareDocuments(entity, sort, document, { [sort.column]: after.value, id: after.id }) > 0;
