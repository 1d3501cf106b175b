import { hash } from '@node-rs/argon2';
import pg from 'pg';
import type { Log } from '../src/lib/log.ts';
import { createMongo } from '../src/stores/mongo/connect.ts';
import { ensureIndexes, type IndexReport } from '../src/stores/mongo/indexes.ts';
import { copyRows } from './copy-rows.ts';
import { isDate, schoolDateOf } from './dates.ts';
import { withoutForeignKeys } from './foreign-keys.ts';
import type { Scale } from './scale.ts';
import { DEMO_SCHOOL_CODE, type SeedMark } from './school.ts';
import { createSchoolData } from './school-data.ts';

export interface SeedOptions {
  databaseUrl: string;
  /** Its indexes are ensured; left out, MongoDB is left alone. */
  mongoUrl?: string;
  scale: Scale;
  /** School date the data lies around, `YYYY-MM-DD`; the present one unless told. */
  today?: string;
  /** The one password of all demo logins. */
  password: string;
  log?: Pick<Log, 'info' | 'warn'>;
  /** Called after each table. @param share of all rows that are there by then, 0 to 1 */
  progress?(table: string, rows: number, share: number): void;
}

export interface SeedReport {
  /** False when the database had a school already: nothing was changed. */
  seeded: boolean;
  /** What the demo school was made with; null for a school that is not ours. */
  mark: SeedMark | null;
  /** Rows written by table. */
  rows: Record<string, number>;
  indexes: IndexReport[];
}

/** Seeding twice at once must not happen; the second waits, then finds a school. */
const LOCK_KEY = 0x7365_6564;

/**
 * Fills an empty, migrated database with the demo school, in one transaction. A database that has a school is left exactly
 * as it is, whatever scale or date is asked for.
 *
 * @throws RangeError for a date that is none; the database's error. Nothing was written then
 */
export async function runSeed(options: SeedOptions): Promise<SeedReport> {
  if (options.today !== undefined && !isDate(options.today)) throw new RangeError('today must be a date as YYYY-MM-DD');
  const [report, indexes] = await Promise.all([seedPostgres(options), seedMongo(options)]);
  return { ...report, indexes };
}

async function seedMongo({ mongoUrl }: SeedOptions): Promise<IndexReport[]> {
  if (!mongoUrl) return [];
  const { client, db } = createMongo({ url: mongoUrl });
  try {
    return await ensureIndexes(db);
  } finally {
    await client.close();
  }
}

async function seedPostgres(options: SeedOptions): Promise<Omit<SeedReport, 'indexes'>> {
  const client = new pg.Client({ connectionString: options.databaseUrl, application_name: 'schools24-seed' });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
    const school = await findSchool(client);
    const report = school ? leave(school, options) : await fill(client, options);
    await client.query('COMMIT');
    if (report.seeded) await client.query('ANALYZE');
    return report;
  } finally {
    // closing the connection undoes what was not committed
    await client.end();
  }
}

interface SchoolRow {
  code: string;
  mark: SeedMark | null;
}

async function findSchool(client: pg.Client): Promise<SchoolRow | undefined> {
  const { rows } = await client.query<SchoolRow>("SELECT code, settings->'demo_seed' AS mark FROM schools LIMIT 1");
  return rows[0];
}

function leave({ code, mark }: SchoolRow, { scale, log }: SeedOptions): Omit<SeedReport, 'indexes'> {
  if (code !== DEMO_SCHOOL_CODE) log?.warn(`not seeded: the database belongs to school ${code}`);
  else if (mark && mark.scale !== scale) {
    log?.warn(`not seeded: the demo school is there at scale ${mark.scale}; empty the database to have it at ${scale}`);
  } else log?.info('the demo school is there already', { ...mark });
  return { seeded: false, mark, rows: {} };
}

async function fill(
  client: pg.Client,
  { scale, today, password, log, progress }: SeedOptions,
): Promise<Omit<SeedReport, 'indexes'>> {
  const mark: SeedMark = { scale, today: today ?? schoolDateOf(new Date()) };
  const passwordHash = await hash(password);
  const rows: Record<string, number> = {};
  const data = createSchoolData({
    ...mark,
    passwordHash,
  });
  const tables = data.map(([table]) => table);
  const total = data.reduce((sum, [, tableRows]) => sum + tableRows.length, 0);
  let done = 0;
  await withoutForeignKeys(client, tables, async () => {
    for (const [table, tableRows] of data) {
      await copyRows(client, table, tableRows);
      rows[table] = tableRows.length;
      done += tableRows.length;
      progress?.(table, tableRows.length, done / total);
    }
  });
  log?.info('the demo school is seeded', { ...mark, rows: Object.values(rows).reduce((sum, count) => sum + count, 0) });
  return { seeded: true, mark, rows };
}
