import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addDays } from '../../../src/lib/clock.ts';
import { buildClosedDay } from '../../support/documents.ts';
import { type SchoolProcess, SchoolProcesses } from '../../support/school-processes.ts';
import { until } from '../../support/until.ts';

/** Commits of new events wait for this lock. */
const HELD = 4242;
const HOLD_COMMITS = `
  CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(${HELD}); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER hold_commit AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hold_commit();`;

const school = new SchoolProcesses();
let writer: SchoolProcess;
let reader: SchoolProcess;

beforeAll(async () => {
  await school.open();
  [writer, reader] = await Promise.all([
    school.startWeb({ SERVICES: 'auth,calendar' }),
    school.startWeb({ SERVICES: 'auth,calendar,attendance' }),
  ]);
  await school.startReadyWorker({ SERVICES: 'calendar' });
}, 120_000);
afterAll(() => school.close());

it('C5: a change whose process dies between its commit and what follows it shows all the same (AT8)', async () => {
  const token = await school.login(reader, 'admin');
  const read = async (path: string) => (await reader.call('GET', `/api/v1${path}`, { token })).body.data;
  const [latest] = await school.rows(
    `SELECT max(on_date)::text AS on_date FROM school_days
     WHERE is_open AND on_date <= (now() AT TIME ZONE (SELECT timezone FROM schools))::date`,
  );
  const on = String(latest!.on_date);
  const [sheet] = await school.rows(
    `DELETE FROM attendance_sheets WHERE on_date = $1 AND period_no = 0 RETURNING class_id`,
    [on],
  );
  const classId = sheet?.class_id ?? (await school.rows('SELECT id FROM classes LIMIT 1'))[0]!.id;
  const roll = `/api/v1/attendance/classes/${classId}/sheets/${on}`;
  // Kept from now on: a month, one that the series reaches years later, and the days of the year.
  const later = addDays(on, 7 * 300);
  const title = 'Every week';
  const shows = async (date: string): Promise<boolean> =>
    (await read(`/events/month/${date.slice(0, 7)}`)).some((one: { title: string }) => one.title === title);
  const reasonOf = async (): Promise<string> => (await read(`/school-days?from=${on}&to=${on}`))[0].reason;
  expect([await shows(on), await shows(later)]).toEqual([false, false]);
  expect(await reasonOf()).not.toBe(title);

  const lock = new pg.Client({ connectionString: school.databaseUrl });
  await lock.connect();
  try {
    await lock.query(HOLD_COMMITS);
    await lock.query('SELECT pg_advisory_lock($1)', [HELD]);
    const body = buildClosedDay(title, on, { rrule: 'FREQ=WEEKLY' });
    const lost = writer.call('POST', '/api/v1/events', { token, body }).catch(() => 'no answer');
    await until('the commit to wait', async () => {
      const { rows } = await lock.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query = 'COMMIT;'",
      );
      return rows.length > 0 ? true : undefined;
    });
    await writer.end('SIGKILL');
    expect(await lost).toBe('no answer');
    expect(await shows(on)).toBe(false);
    const late = await reader.call('PUT', roll, { token, body: { entries: [], rest: 'present' } });
    expect(late.status).toBe(202);
    await lock.query('SELECT pg_advisory_unlock($1)', [HELD]);
  } finally {
    await lock.end();
  }

  await until('the months and the school days', async () =>
    (await shows(on)) && (await shows(later)) && (await reasonOf()) === title ? true : undefined,
  );
  await until('the roll to be void', async () =>
    (await reader.call('GET', roll, { token })).body.data.status === 'void' ? true : undefined,
  );
  const stored = await school.rows('SELECT status FROM attendance_sheets WHERE class_id = $1 AND on_date = $2', [
    classId,
    on,
  ]);
  expect(stored).toEqual([{ status: 'void' }]);
});
