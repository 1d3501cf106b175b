import type { Column } from '../../lib/entity.ts';

const SPECIAL = /["\\]/;

const quote = (text: string): string => `"${SPECIAL.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;

/** PostgreSQL's type of a column, for casts of whole arrays. */
export const arrayType = (column: Column): string => {
  switch (column.type) {
    case 'enum':
      return 'text[]';
    case 'int':
      return 'int[]';
    default:
      return `${column.type}[]`;
  }
};

/** The array literal of one column's values: one parameter a column, however many rows a batch has. */
export function arrayLiteral(column: Column, values: readonly unknown[]): string {
  const needsQuotes = column.type === 'text' || column.type === 'jsonb' || column.type === 'enum';
  let literal = '{';
  for (let index = 0; index < values.length; index++) {
    if (index > 0) literal += ',';
    const value = values[index];
    if (value === null || value === undefined) literal += 'NULL';
    else if (column.type === 'jsonb') literal += quote(JSON.stringify(value));
    else if (needsQuotes) literal += quote(String(value));
    else if (typeof value === 'string') literal += quote(value);
    else literal += String(value);
  }
  return `${literal}}`;
}
