/** A row by column; every row of a table names the same columns. */
export type Row = Record<string, unknown>;
