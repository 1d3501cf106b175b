import { isUtf8 } from 'node:buffer';
import { CsvError, parse } from 'csv-parse';
import { BadCsvError, BadHeaderError } from '../../errors/catalogue.ts';
import { hasUtf16Mark } from '../school/file-types.ts';

export interface TableColumn {
  name: string;
  isRequired?: boolean;
  /** Holds phone numbers, which may begin with `+`. */
  isPhone?: boolean;
}

export interface TableRow {
  /** Line of the file that the row ends on; the header is 1. */
  line: number;
  /** By column; empty cells are left out. */
  cells: Record<string, string>;
  /** Columns that cannot be taken, whatever they mean. */
  problems: { column: string | null; detail: string }[];
}

/** DOMAIN §4.1 */
export const MOST_ROWS = 5_000;
const MOST_RECORD_CHARACTERS = 20_000;

/** What a spreadsheet would run when a cell is exported again; also behind blanks, which are not stored with it. */
const FORMULA = /^\s*[=+\-@]|^[\t\r]/;
const CONTROL = /\p{Cc}/u;

const inFile = (detail: string) => ({ errors: [{ pointer: '/file_id', detail }] });

/**
 * Reads a table: UTF-8 with or without a mark, commas, a first line with the names of columns in any order.
 *
 * @throws BadCsvError for another encoding, broken quotes, no rows or too many; BadHeaderError
 */
export async function readTable(content: Buffer, columns: readonly TableColumn[]): Promise<TableRow[]> {
  if (hasUtf16Mark(content)) throw new BadCsvError(inFile('is UTF-16; save it as CSV in UTF-8'));
  if (!isUtf8(content)) throw new BadCsvError(inFile('is not UTF-8; save it as CSV in UTF-8'));
  const rows: TableRow[] = [];
  let header: TableColumn[] | undefined;
  const records = parse(content, {
    bom: true,
    info: true,
    trim: true,
    skip_empty_lines: true,
    // Spreadsheets write a line of commas for each row that was emptied.
    skip_records_with_empty_values: true,
    relax_column_count: true,
    max_record_size: MOST_RECORD_CHARACTERS,
    // With the header and one row too many, which tells that there are more: what follows is not even read.
    to: MOST_ROWS + 2,
  }) as AsyncIterable<{ record: string[]; info: { lines: number } }>;
  try {
    for await (const { record, info } of records) {
      if (!header) header = readHeader(record, columns);
      else if (rows.length === MOST_ROWS) throw new BadCsvError(inFile(`has more than ${MOST_ROWS} rows`));
      else rows.push(readRow(record, info.lines, header));
    }
  } catch (error) {
    // Its message may quote the file.
    if (error instanceof CsvError) {
      const { code, lines } = error as CsvError & { lines?: number };
      throw new BadCsvError({ ...inFile(`cannot be read at line ${lines ?? '?'} (${code})`), cause: error });
    }
    throw error;
  }
  if (!header) throw new BadHeaderError(inFile('is empty'));
  if (rows.length === 0) throw new BadCsvError(inFile('has no rows below its header'));
  return rows;
}

/** @throws BadHeaderError; names of unknown columns are not repeated, since they may be a row of somebody's data */
function readHeader(record: readonly string[], columns: readonly TableColumn[]): TableColumn[] {
  const names = record.map((name) => name.toLowerCase());
  if (names.length === 1 && /[;\t]/.test(names[0]!))
    throw new BadHeaderError(inFile('has no commas between its columns; save it as CSV with commas'));
  const problems = [
    ...columns
      .filter(({ name, isRequired }) => isRequired && !names.includes(name))
      .map(({ name }) => `has no column ${name}`),
    ...names.flatMap((name, index) =>
      columns.some((column) => column.name === name) ? [] : [`column ${index + 1} is not one of ${listOf(columns)}`],
    ),
    ...columns
      .filter(({ name }) => names.filter((other) => other === name).length > 1)
      .map(({ name }) => `has the column ${name} more than once`),
  ];
  if (problems.length > 0)
    throw new BadHeaderError({ errors: problems.slice(0, MOST_PROBLEMS).flatMap((detail) => inFile(detail).errors) });
  return names.map((name) => columns.find((column) => column.name === name)!);
}

const MOST_PROBLEMS = 20;
const listOf = (columns: readonly TableColumn[]): string => columns.map(({ name }) => name).join(', ');

function readRow(record: readonly string[], line: number, header: readonly TableColumn[]): TableRow {
  const row: TableRow = { line, cells: {}, problems: [] };
  if (record.length !== header.length) {
    row.problems.push({ column: null, detail: `has ${record.length} cells, not ${header.length}` });
    return row;
  }
  for (const [index, { name, isPhone }] of header.entries()) {
    const cell = record[index]!;
    if (cell === '') continue;
    if (CONTROL.test(cell)) row.problems.push({ column: name, detail: 'holds a control character' });
    // Wide letters too: some spreadsheets read them as the narrow ones.
    else if (!isPhone && FORMULA.test(cell.normalize('NFKC')))
      row.problems.push({ column: name, detail: 'must not begin with =, +, - or @' });
    else row.cells[name] = cell;
  }
  return row;
}
