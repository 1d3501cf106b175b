import pg from 'pg';
import type { Expected } from './morning.ts';

/** Compares every acknowledged write with its row. @returns the differences, in words */
export async function differences(
  databaseUrl: string,
  expected: Expected,
  on: string,
): Promise<{ rows: number; problems: string[] }> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const problems: string[] = [];
  try {
    const homework = await client.query('SELECT id, title, version, deleted_at FROM homework WHERE id = ANY($1)', [
      [...expected.homework.keys()],
    ]);
    const homeworkRows = new Map(homework.rows.map((row) => [row.id, row]));
    for (const [id, { title, version, isDeleted }] of expected.homework) {
      const row = homeworkRows.get(id);
      if (!row) problems.push(`homework ${id} is not stored`);
      else if (row.title !== title)
        problems.push(`homework ${id} has title "${row.title}", acknowledged was "${title}"`);
      else if (Number(row.version) < version)
        problems.push(`homework ${id} has version ${row.version}, acknowledged was ${version}`);
      else if ((row.deleted_at !== null) !== isDeleted)
        problems.push(`homework ${id} is ${isDeleted ? 'not ' : ''}deleted`);
    }
    const attendance = await client.query(
      `SELECT s.class_id, e.student_id, e.status FROM attendance_entries e JOIN attendance_sheets s ON s.id = e.sheet_id WHERE s.on_date = $1 AND s.period_no = 0`,
      [on],
    );
    const marks = new Map(attendance.rows.map((row) => [`${row.class_id} ${row.student_id}`, row.status]));
    for (const [key, { status }] of expected.attendance) {
      if (marks.get(key) !== status)
        problems.push(`attendance ${key} is ${marks.get(key) ?? 'not stored'}, acknowledged was ${status}`);
    }
    const submissions = await client.query(
      'SELECT homework_id, student_id, body FROM homework_submissions WHERE homework_id = ANY($1)',
      [[...expected.homework.keys()]],
    );
    const bodies = new Map(submissions.rows.map((row) => [`${row.homework_id} ${row.student_id}`, row.body]));
    for (const [key, { body }] of expected.submissions) {
      if (bodies.get(key) !== body)
        problems.push(`submission ${key} is ${bodies.has(key) ? 'another one' : 'not stored'}`);
    }
  } finally {
    await client.end();
  }
  return { rows: expected.homework.size + expected.attendance.size + expected.submissions.size, problems };
}
