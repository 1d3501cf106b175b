import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSeed } from '../../../seeds/run.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { migrate } from '../../../src/stores/postgres/migrate.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

const CHECK = '23514';
const UNIQUE = '23505';
const FOREIGN_KEY = '23503';
const NOT_NULL = '23502';
const DATA_TYPE = '22P02';

/** What the database itself refuses, tried on rows of the demo school. */
describe('constraints', () => {
  let database: OwnDatabase;
  let knex: Knex;

  beforeAll(async () => {
    database = await createOwnDatabase();
    await migrate(database.url);
    await runSeed({ databaseUrl: database.url, scale: 'small', today: '2025-09-10', password: 'a password' });
    knex = createPostgres({ url: database.url, maxConnections: 2 });
  });
  afterAll(async () => {
    await knex.destroy();
    await database.drop();
  });

  /** Runs statements in a transaction that is undone; @returns the SQLSTATE of the one that failed, or `ok`. */
  const attempt = async (...statements: string[]): Promise<string> => {
    const transaction = await knex.transaction();
    try {
      for (const statement of statements) await transaction.raw(statement.replaceAll('?', '\\?'));
      return 'ok';
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await transaction.rollback();
    }
  };

  const anyRow = (table: string): string => `ctid = (SELECT ctid FROM ${table} ORDER BY ctid LIMIT 1)`;

  it.each([
    ['homework', "title = repeat('x', 301)", CHECK],
    ['homework', "title = repeat('अ', 300)", 'ok'],
    ['homework', 'title = NULL', NOT_NULL],
    ['homework', "late_until_at = due_at - interval '1 ms'", CHECK],
    ['homework', 'late_until_at = due_at', 'ok'],
    ['homework', "status = 'lost'", CHECK],
    ['homework', 'class_subject_id = gen_random_uuid()', FOREIGN_KEY],
    ['homework', 'group_id = gen_random_uuid()', 'ok'],
    ['attendance_entries', 'minutes_late = 0', CHECK],
    ['attendance_entries', 'minutes_late = 241', CHECK],
    ['attendance_entries', 'minutes_late = 240', 'ok'],
    ['leave_requests', 'to_on = from_on - 1', CHECK],
    ['enrollments', 'ends_on = starts_on - 1', CHECK],
    ['enrollments', 'ends_on = starts_on', 'ok'],
    ['academic_years', 'ends_on = starts_on', CHECK],
    ['terms', 'ends_on = starts_on', 'ok'],
    ['classes', 'grade = 13', CHECK],
    ['classes', 'capacity = 0', CHECK],
    ['files', 'size_bytes = 26214401', CHECK],
    ['files', 'size_bytes = 26214400', 'ok'],
    ['user_roles', "role = 'system'", CHECK],
    ['announcements', "audience = 'class'", CHECK],
    ['announcements', "audience = 'role', class_id = NULL, role = NULL", CHECK],
    ['announcements', "role = 'driver', audience = 'school', class_id = NULL", CHECK],
    ['announcements', "role = 'driver', audience = 'role', class_id = NULL", 'ok'],
    ['announcements', 'expires_at = publish_at', CHECK],
    ['announcements', "expires_at = publish_at + interval '1 ms'", 'ok'],
    ['homework_grades', 'student_id = gen_random_uuid()', FOREIGN_KEY],
    ['class_subjects', "weights = '{'", DATA_TYPE],
  ])('UPDATE %s SET %s → %s', async (table, change, outcome) => {
    expect(await attempt(`UPDATE ${table} SET ${change} WHERE ${anyRow(table)}`)).toBe(outcome);
  });

  it.each([
    ['one login, whatever its case', "UPDATE users SET login = 'ADMIN' WHERE login = 'teacher001'", UNIQUE],
    [
      'one email, whatever its case',
      "UPDATE users SET email = 'Admin@schools24.example' WHERE login = 'teacher001'",
      UNIQUE,
    ],
    ['many users without email', 'UPDATE users SET email = NULL', 'ok'],
    [
      'one current year',
      "INSERT INTO academic_years SELECT gen_random_uuid(), 'x', starts_on, ends_on, true FROM academic_years",
      UNIQUE,
    ],
    [
      'many past years',
      "INSERT INTO academic_years SELECT gen_random_uuid(), 'x' || n, starts_on, ends_on, false FROM academic_years, generate_series(1, 2) n",
      'ok',
    ],
    [
      'one running enrolment a student',
      'INSERT INTO enrollments SELECT gen_random_uuid(), student_id, class_id, 99, starts_on FROM enrollments WHERE ends_on IS NULL LIMIT 1',
      UNIQUE,
    ],
    [
      'past enrolments beside it',
      'INSERT INTO enrollments SELECT gen_random_uuid(), student_id, class_id, roll_no, starts_on, starts_on FROM enrollments WHERE ends_on IS NULL LIMIT 1',
      'ok',
    ],
    ['one primary guardian', 'UPDATE student_guardians SET is_primary = true', UNIQUE],
    [
      'one sheet a class, day and period',
      'UPDATE attendance_sheets SET on_date = (SELECT min(on_date) FROM attendance_sheets)',
      UNIQUE,
    ],
    [
      'one submission a student',
      'INSERT INTO homework_submissions SELECT gen_random_uuid(), homework_id, student_id, revision, body, status, saved_at, submitted_at, is_late, late_days FROM homework_submissions LIMIT 1',
      UNIQUE,
    ],
  ])('allow %s', async (_, statement, outcome) => {
    expect(await attempt(statement)).toBe(outcome);
  });

  it('let one correction of an entry wait at a time', async () => {
    const ask = (state: string): string =>
      `INSERT INTO attendance_corrections (id, sheet_id, student_id, new_status, reason, state, requested_by)
       SELECT gen_random_uuid(), sheet_id, student_id, 'late', 'came by bus', '${state}', marked_by FROM attendance_entries LIMIT 1`;
    expect(await attempt(ask('pending'), ask('rejected'), ask('rejected'))).toBe('ok');
    expect(await attempt(ask('pending'), ask('pending'))).toBe(UNIQUE);
    expect(await attempt(ask('pending').replace('came by bus', 'bus'))).toBe(CHECK);
  });

  it('keep a failed write whose text jsonb would refuse, one open record a key', async () => {
    const fail = (resolved: string): string =>
      `INSERT INTO flush_failures (id, entity, buffer_key, version, payload, error_code, error, attempts, first_at, last_at, resolved_at)
       VALUES (gen_random_uuid(), 'homework', 'k', 1, '{"title":"a\\u0000b"}', '22P05', 'unsupported Unicode escape sequence', 1, now(), now(), ${resolved})`;
    expect(await attempt(fail('now()'), fail('now()'), fail('NULL'))).toBe('ok');
    expect(await attempt(fail('NULL'), fail('NULL'))).toBe(UNIQUE);
  });

  it('number outbox events by themselves', async () => {
    const add =
      "INSERT INTO outbox_events (id, name, aggregate_id, payload) VALUES (gen_random_uuid(), 'leave.decided', 'a', '{}')";
    expect(await attempt(add, add)).toBe('ok');
    expect(await attempt(add.replace('(id,', '(seq, id,').replace('VALUES (', 'VALUES (1, '))).toBe('428C9');
  });

  it('delete what belongs to a row with it, and nothing that others need', async () => {
    expect(await attempt('DELETE FROM attendance_sheets')).toBe('ok');
    expect(
      await attempt(
        'DELETE FROM homework_files',
        'DELETE FROM homework WHERE id NOT IN (SELECT homework_id FROM homework_submissions)',
      ),
    ).toBe('ok');
    expect(await attempt('DELETE FROM homework WHERE id IN (SELECT homework_id FROM homework_submissions)')).toBe(
      FOREIGN_KEY,
    );
    expect(await attempt('DELETE FROM students')).toBe(FOREIGN_KEY);
    expect(await attempt('DELETE FROM classes')).toBe(FOREIGN_KEY);
  });

  it('round instants to the millisecond that JSON carries', async () => {
    const { rows } = await knex.raw("SELECT '2025-09-10 03:00:00.0004Z'::timestamptz(3) AS kept");
    expect(rows[0].kept).toBe('2025-09-10T03:00:00.000Z');
    const now = await knex.raw(
      "UPDATE schools SET updated_at = '2025-09-10 03:00:00.1236Z' RETURNING updated_at, updated_at = '2025-09-10 03:00:00.124Z' AS equal",
    );
    expect(now.rows).toEqual([{ updated_at: '2025-09-10T03:00:00.124Z', equal: true }]);
  });
});
