import { verify } from '@node-rs/argon2';
import type { Knex } from 'knex';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSeed, type SeedOptions } from '../../../seeds/run.ts';
import { createPostgres } from '../../../src/stores/postgres/connect.ts';
import { migrate } from '../../../src/stores/postgres/migrate.ts';
import { createOwnDatabase, type OwnDatabase } from '../../support/own-database.ts';

const TODAY = '2025-09-10';

interface Seeded {
  database: OwnDatabase;
  knex: Knex;
}

async function prepare(options?: Partial<SeedOptions>): Promise<Seeded> {
  const database = await createOwnDatabase();
  await migrate(database.url);
  if (options)
    await runSeed({ databaseUrl: database.url, scale: 'small', today: TODAY, password: 'a password', ...options });
  return { database, knex: createPostgres({ url: database.url, maxConnections: 2 }) };
}

async function close({ database, knex }: Seeded): Promise<void> {
  await knex.destroy();
  await database.drop();
}

/** Rows and checksum of every table; the password's salt differs from seeding to seeding and is left out. */
async function checksums(knex: Knex): Promise<Record<string, { rows: number; checksum: string }>> {
  const { rows: tables } = await knex.raw(
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'knex_%'",
  );
  const entries = (tables as { relname: string }[]).map(async ({ relname }) => {
    const { rows } = await knex.raw(
      `SELECT count(*)::int AS rows, coalesce(md5(string_agg(line, ';' ORDER BY line)), '') AS checksum
       FROM (SELECT (to_jsonb(t) - 'password_hash')::text AS line FROM "${relname}" t) lines`,
    );
    return [relname, rows[0]] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

describe('demo seed', () => {
  let seeded: Seeded;
  beforeAll(async () => {
    seeded = await prepare({});
  });
  afterAll(() => close(seeded));

  const rows = async <T = Record<string, unknown>>(sql: string): Promise<T[]> =>
    (await seeded.knex.raw(sql.replaceAll('?', '\\?'))).rows;

  it('makes the small school', async () => {
    const counts = Object.entries(await checksums(seeded.knex)).map(([table, { rows }]) => [table, rows]);
    expect(Object.fromEntries(counts)).toEqual({
      academic_years: 1,
      announcements: 8,
      attendance_corrections: 0,
      attendance_entries: 8_973,
      attendance_sheets: 360,
      auth_tokens: 0,
      calendar_feeds: 0,
      class_subjects: 32,
      classes: 4,
      enrollments: 101,
      event_audiences: 38,
      event_exceptions: 0,
      event_rsvps: 0,
      events: 37,
      files: 1_023,
      flush_failures: 0,
      guardians: 155,
      homework: 96,
      homework_extensions: 0,
      homework_files: 47,
      homework_grades: 2_004,
      homework_submission_files: 976,
      homework_submissions: 2_168,
      idempotency_keys: 0,
      leave_requests: 84,
      outbox_events: 0,
      point_entries: 10_915,
      school_days: 365,
      schools: 1,
      staff: 15,
      student_guardians: 191,
      students: 100,
      subjects: 14,
      teacher_substitutions: 0,
      terms: 3,
      timetable_slots: 176,
      user_roles: 270,
      user_sessions: 0,
      users: 269,
    });
  });

  it('changes nothing when it runs again, at another scale or date, or twice at once', async () => {
    const before = await checksums(seeded.knex);
    const again = {
      databaseUrl: seeded.database.url,
      scale: 'full' as const,
      today: '2026-01-07',
      password: 'another',
    };
    const reports = await Promise.all([runSeed(again), runSeed(again)]);
    expect(reports.map((report) => [report.seeded, report.mark])).toEqual(
      Array(2).fill([false, { scale: 'small', today: TODAY }]),
    );
    expect(await checksums(seeded.knex)).toEqual(before);
  });

  it('makes the same rows in another database', async () => {
    const other = await prepare({ password: 'another' });
    expect(await checksums(other.knex)).toEqual(await checksums(seeded.knex));
    await close(other);
  });

  it('seeds once when two start together', async () => {
    const other = await prepare();
    const options = { databaseUrl: other.database.url, scale: 'small' as const, today: TODAY, password: 'a password' };
    const reports = await Promise.all([runSeed(options), runSeed(options)]);
    expect(reports.map((report) => report.seeded).sort()).toEqual([false, true]);
    expect(await checksums(other.knex)).toEqual(await checksums(seeded.knex));
    await close(other);
  });

  it('leaves a school alone that is not the demo school', async () => {
    const other = await prepare();
    await other.knex.raw(
      "INSERT INTO schools (id, code, name, timezone, currency, school_weekdays, locale) VALUES (gen_random_uuid(), 'REAL', 'A real school', 'Asia/Kolkata', 'INR', '{1}', 'en-IN')",
    );
    const warnings: string[] = [];
    const log = { info: () => undefined, warn: (message: string) => warnings.push(message) };
    const report = await runSeed({ databaseUrl: other.database.url, scale: 'small', password: 'a password', log });
    expect(report).toMatchObject({ seeded: false, mark: null });
    expect(warnings).toEqual(['not seeded: the database belongs to school REAL']);
    expect((await checksums(other.knex)).users).toMatchObject({ rows: 0 });
    await close(other);
  });

  it('writes nothing when it fails, and puts the foreign keys back', async () => {
    const other = await prepare();
    await other.knex.raw("ALTER TABLE leave_requests ADD CONSTRAINT sabotage CHECK (kind <> 'sick')");
    const keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2";
    const before = (await other.knex.raw(keys)).rows;
    await expect(
      runSeed({ databaseUrl: other.database.url, scale: 'small', today: TODAY, password: 'a password' }),
    ).rejects.toMatchObject({ code: '23514', constraint: 'sabotage' });
    expect((await checksums(other.knex)).schools).toMatchObject({ rows: 0 });
    expect((await other.knex.raw(keys)).rows).toEqual(before);
    expect(before.length).toBeGreaterThan(30);
    await close(other);
  });

  it.each(['2025-02-30', '10.09.2025', '2025-9-1', 'today', ''])('refuses %j as its date', async (today) => {
    const wrong = runSeed({ databaseUrl: seeded.database.url, scale: 'small', today, password: 'a password' });
    await expect(wrong).rejects.toThrow('today must be a date as YYYY-MM-DD');
  });

  it('gives every demo login the one password', async () => {
    const logins = [
      'admin',
      'principal01',
      'teacher001',
      'student0001',
      'parent0001',
      'accountant01',
      'storekeeper01',
      'driver01',
    ];
    const users = await rows<{ login: string; password_hash: string; status: string }>(
      'SELECT login, password_hash, status FROM users',
    );
    for (const login of logins) {
      const user = users.find((candidate) => candidate.login === login)!;
      expect(user.status).toBe('active');
      expect(user.password_hash).toMatch(/^\$argon2id\$/);
    }
    expect(new Set(users.map(({ password_hash }) => password_hash)).size).toBe(1);
    expect(await verify(users[0]!.password_hash, 'a password')).toBe(true);
  });

  it('gives teacher001 a homeroom and a subject in every class of the small school', async () => {
    const [teacher] = await rows(
      `SELECT (SELECT array_agg(c.name) FROM classes c WHERE c.homeroom_staff_id = s.id) AS homeroom,
         (SELECT array_agg(c.name || ' ' || j.code ORDER BY c.name) FROM class_subjects cs JOIN classes c ON c.id = cs.class_id
          JOIN subjects j ON j.id = cs.subject_id WHERE cs.staff_id = s.id) AS taught
       FROM staff s JOIN users u ON u.id = s.user_id WHERE u.login = 'teacher001'`,
    );
    expect(teacher).toEqual({ homeroom: ['6 A'], taught: ['6 A MAT', '6 B MAT', '7 A MAT', '7 B MAT'] });
  });

  it('has one parent of student0001 and a sibling, a teacher who is a parent, and a blocked guardian', async () => {
    const children = (login: string) =>
      rows<{ login: string; can_view: boolean }>(
        `SELECT cu.login, sg.can_view FROM users u JOIN guardians g ON g.user_id = u.id JOIN student_guardians sg ON sg.guardian_id = g.id
         JOIN students s ON s.id = sg.student_id JOIN users cu ON cu.id = s.user_id WHERE u.login = '${login}' ORDER BY 1`,
      );
    expect((await children('parent0001')).map(({ login }) => login)).toEqual(['student0001', 'student0083']);
    expect((await children('teacher002')).map(({ login }) => login)).toEqual(['student0005', 'student0087']);
    expect((await children('parent0085')).map(({ can_view }) => can_view)).toEqual([false, false]);
  });

  /** Each query finds rows that break a rule; there are none. */
  it.each([
    [
      'a version that is not its last change',
      'SELECT 1 FROM homework WHERE version <> extract(epoch FROM updated_at) * 1000000',
    ],
    [
      'an entry version that is not its time',
      'SELECT 1 FROM attendance_entries WHERE entry_version <> extract(epoch FROM marked_at) * 1000000',
    ],
    [
      'anything from today or later',
      `SELECT 1 FROM homework_submissions WHERE updated_at >= '${TODAY} 00:00+05:30'
       UNION ALL SELECT 1 FROM homework WHERE updated_at >= '${TODAY} 00:00+05:30' UNION ALL SELECT 1 FROM homework_grades WHERE graded_at >= '${TODAY} 00:00+05:30'
       UNION ALL SELECT 1 FROM attendance_sheets WHERE on_date >= '${TODAY}' UNION ALL SELECT 1 FROM leave_requests WHERE updated_at >= '${TODAY} 00:00+05:30'`,
    ],
    ['a roll on a closed day', 'SELECT 1 FROM attendance_sheets JOIN school_days USING (on_date) WHERE NOT is_open'],
    [
      'a past open day without all rolls',
      `SELECT 1 FROM school_days d CROSS JOIN classes c LEFT JOIN attendance_sheets s ON s.on_date = d.on_date AND s.class_id = c.id
       WHERE d.is_open AND d.on_date < '${TODAY}' AND s.id IS NULL`,
    ],
    [
      'an entry of someone who was not in the class, or a classmate without one',
      `SELECT 1 FROM attendance_sheets s JOIN enrollments e ON e.class_id = s.class_id AND s.on_date BETWEEN e.starts_on AND coalesce(e.ends_on, 'infinity')
       FULL JOIN attendance_entries a ON a.sheet_id = s.id AND a.student_id = e.student_id WHERE a.sheet_id IS NULL OR e.id IS NULL`,
    ],
    [
      'an entry dated unlike its sheet',
      'SELECT 1 FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE e.on_date <> s.on_date',
    ],
    [
      'leave without approval (AT2)',
      `SELECT 1 FROM attendance_entries e WHERE status IN ('excused', 'half_day') AND NOT EXISTS
       (SELECT 1 FROM leave_requests l WHERE l.student_id = e.student_id AND l.status = 'approved' AND e.on_date BETWEEN l.from_on AND l.to_on)`,
    ],
    [
      'a mark against approved leave (AT5)',
      `SELECT 1 FROM attendance_entries e JOIN leave_requests l ON l.student_id = e.student_id AND l.status = 'approved' AND e.on_date BETWEEN l.from_on AND l.to_on
       WHERE e.status <> CASE l.part WHEN 'full' THEN 'excused' ELSE 'half_day' END`,
    ],
    [
      'overlapping leave',
      `SELECT 1 FROM leave_requests a JOIN leave_requests b ON a.student_id = b.student_id AND a.id < b.id AND a.from_on <= b.to_on AND b.from_on <= a.to_on`,
    ],
    [
      'minutes for anyone but latecomers',
      `SELECT 1 FROM attendance_entries WHERE (status = 'late') <> (minutes_late IS NOT NULL)`,
    ],
    [
      'an open sheet in a locked term',
      `SELECT 1 FROM attendance_sheets s JOIN terms t ON s.on_date BETWEEN t.starts_on AND t.ends_on WHERE (t.locked_at IS NULL) <> (s.status = 'open')`,
    ],
    [
      'wrong lateness (H1)',
      `SELECT 1 FROM homework_submissions s JOIN homework h ON h.id = s.homework_id
       WHERE s.submitted_at < h.publish_at OR s.submitted_at > coalesce(h.late_until_at, h.due_at) OR s.is_late <> (s.submitted_at > h.due_at)
         OR s.late_days <> greatest(0, ceil(extract(epoch FROM s.submitted_at - h.due_at) / 86400))`,
    ],
    [
      'a wrong final mark (H2)',
      `SELECT 1 FROM homework_grades g JOIN homework h ON h.id = g.homework_id LEFT JOIN homework_submissions s ON s.id = g.submission_id
       WHERE g.final_x100 IS DISTINCT FROM CASE g.status WHEN 'excused' THEN NULL WHEN 'missing' THEN CASE WHEN h.is_missing_zero THEN 0 END
         ELSE greatest(raw_x100 - round(h.max_x100 * h.late_deduct_bp * s.late_days / 10000.0), least(raw_x100, round(h.max_x100 * h.late_floor_bp / 10000.0))) END`,
    ],
    [
      'a grade on a draft or an ungraded assignment',
      "SELECT 1 FROM homework_grades g JOIN homework h ON h.id = g.homework_id WHERE h.max_x100 IS NULL OR h.status = 'draft'",
    ],
    [
      'text or file where the assignment takes none',
      `SELECT 1 FROM homework_submissions s JOIN homework h ON h.id = s.homework_id LEFT JOIN homework_submission_files f ON f.submission_id = s.id
       WHERE (h.submission_kind = 'file') <> (s.body IS NULL) OR (h.submission_kind = 'text' AND f.file_id IS NOT NULL) OR (h.submission_kind = 'file' AND f.file_id IS NULL)`,
    ],
    [
      'homework by someone who does not teach it',
      'SELECT 1 FROM homework h JOIN class_subjects c ON c.id = h.class_subject_id WHERE c.staff_id <> h.staff_id',
    ],
    [
      'a group of assignments that differ',
      'SELECT 1 FROM homework WHERE group_id IS NOT NULL GROUP BY group_id HAVING count(*) < 2 OR count(DISTINCT (title, description, due_at, staff_id)) > 1',
    ],
    [
      'a file of someone else (H5)',
      `SELECT 1 FROM homework_submission_files sf JOIN homework_submissions s ON s.id = sf.submission_id JOIN files f ON f.id = sf.file_id
       JOIN students t ON t.id = s.student_id WHERE f.owner_user_id <> t.user_id OR f.status <> 'ready'`,
    ],
    [
      'a student without a class or a primary guardian',
      `SELECT 1 FROM students s WHERE NOT EXISTS (SELECT 1 FROM enrollments e WHERE e.student_id = s.id AND e.ends_on IS NULL)
       OR NOT EXISTS (SELECT 1 FROM student_guardians g WHERE g.student_id = s.id AND g.is_primary)`,
    ],
    [
      'a class over its capacity',
      'SELECT 1 FROM enrollments e JOIN classes c ON c.id = e.class_id WHERE e.ends_on IS NULL GROUP BY c.id, c.capacity HAVING count(*) > c.capacity',
    ],
    [
      'weights that are not 100 %',
      'SELECT 1 FROM class_subjects WHERE (SELECT sum(value::int) FROM jsonb_each_text(weights)) <> 10000',
    ],
    [
      'a teacher in two classes at once',
      `SELECT 1 FROM timetable_slots t JOIN class_subjects c ON c.id = t.class_subject_id
       GROUP BY c.staff_id, t.weekday, t.period_no HAVING count(*) > 1`,
    ],
    [
      'a lesson of another class, or one that begins before the last ends',
      `SELECT 1 FROM timetable_slots t JOIN class_subjects c ON c.id = t.class_subject_id WHERE c.class_id <> t.class_id
         OR EXISTS (SELECT 1 FROM timetable_slots n WHERE n.class_id = t.class_id AND n.weekday = t.weekday
                    AND n.period_no > t.period_no AND n.starts_at < t.ends_at)`,
    ],
    [
      'an id that was made after its row (UUIDv7)',
      `SELECT 1 FROM homework WHERE ('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint <> extract(epoch FROM created_at) * 1000`,
    ],
  ])('has no row with %s', async (_, query) => {
    expect(await rows(query)).toEqual([]);
  });

  it('has about the shares of a real school', async () => {
    const [shares] = await rows<Record<string, number>>(
      `SELECT avg((status = 'present')::int)::float AS present, avg((status = 'late')::int)::float AS late, avg((status = 'absent')::int)::float AS absent FROM attendance_entries`,
    );
    expect(shares!.present).toBeCloseTo(0.94, 1);
    expect(shares!.late).toBeGreaterThan(0.01);
    expect(shares!.absent).toBeLessThan(0.05);
  });

  it('has leave for today in 6 A to prefill, and a request that waits', async () => {
    const leave = await rows(
      `SELECT u.login, l.status, l.from_on FROM leave_requests l JOIN students s ON s.id = l.student_id JOIN users u ON u.id = s.user_id
       WHERE l.from_on >= '${TODAY}' AND u.login IN ('student0003', 'student0004') ORDER BY 1`,
    );
    expect(leave).toEqual([
      { login: 'student0003', status: 'approved', from_on: '2025-09-10' },
      { login: 'student0004', status: 'pending', from_on: '2025-09-11' },
    ]);
  });
});
