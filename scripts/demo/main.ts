import pg from 'pg';
import { DemoClient } from './client.ts';
import { playMorning } from './morning.ts';
import { differences } from './verify.ts';

/** A school morning against SCHOOLS24_URL, a sync, and every row compared with what was acknowledged. */
const HANDING_IN = 20;
const SYNC_MS = 120_000;
const BAR = 30;

const url = process.env.SCHOOLS24_URL!;
const databaseUrl = process.env.DATABASE_URL!;
const password = process.env.DEMO_PASSWORD ?? 'schools24-demo';

interface BufferView {
  entities: { entity: string; dirty: number; original_bytes: number; compressed_bytes: number }[];
}

interface RunView {
  state: string;
  taken?: number;
  stored?: number;
  superseded?: number;
  failed?: number;
  left?: number;
  statements?: number;
  durationMs?: number;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** A line that rewrites itself on a terminal; elsewhere only every tenth step is a line. */
function progress(done: number, all: number, what: string): void {
  const filled = Math.round((done / all) * BAR);
  const line = `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${done}/${all} ${what}`;
  if (process.stderr.isTTY) process.stderr.write(`\r${line.padEnd(70)}${done === all ? '\n' : ''}`);
  else if (done % 25 === 0 || done === all) process.stderr.write(`${line}\n`);
}

async function query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The latest open school day that is not in the future; its term must not be locked. */
async function latestOpenDay(): Promise<string> {
  const [day] = await query<{ on_date: string }>(
    `SELECT to_char(max(on_date), 'YYYY-MM-DD') AS on_date FROM school_days WHERE is_open AND on_date <= (now() AT TIME ZONE (SELECT timezone FROM schools LIMIT 1))::date`,
  );
  if (!day?.on_date) throw new Error('the school has no open day yet: seed it with npm run seed');
  return day.on_date;
}

async function waitForRun(admin: DemoClient, runId: string): Promise<RunView> {
  const deadline = Date.now() + SYNC_MS;
  for (;;) {
    const run = await admin.call<RunView>('GET', `/admin/sync/runs/${runId}`);
    if (run.state === 'completed') return run;
    if (Date.now() > deadline)
      throw new Error(`the sync run ${runId} did not end within ${SYNC_MS / 1000} s: is a worker running?`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main(): Promise<number> {
  const on = await latestOpenDay();
  say(`a school morning on ${on}, against ${url}`);
  const admin = await DemoClient.login(url, 'admin', password);
  const classes = await admin.call<{ id: string; name: string }[]>('GET', '/classes');
  const subjects = await query<{ id: string; class_id: string }>(
    'SELECT DISTINCT ON (class_id) id, class_id FROM class_subjects ORDER BY class_id, id',
  );
  const pupils = await query<{ login: string; student_id: string; class_id: string }>(
    `SELECT u.login, p.id AS student_id, e.class_id FROM students p JOIN users u ON u.id = p.user_id AND u.status = 'active'
     JOIN enrollments e ON e.student_id = p.id AND e.ends_on IS NULL ORDER BY u.login LIMIT ${HANDING_IN}`,
  );
  const students = [];
  for (const { login, student_id, class_id } of pupils)
    students.push({ client: await DemoClient.login(url, login, password), studentId: student_id, classId: class_id });

  const startedMs = Date.now();
  const expected = await playMorning({
    admin,
    students,
    subjectOf: new Map(subjects.map(({ id, class_id }) => [class_id, id])),
    classes,
    on,
    progress,
  });
  const playedMs = Date.now() - startedMs;
  const { entities } = await admin.call<BufferView>('GET', '/admin/buffer');
  const original = entities.reduce((sum, entity) => sum + entity.original_bytes, 0);
  const compressed = entities.reduce((sum, entity) => sum + entity.compressed_bytes, 0);

  const { runId } = await admin.call<{ runId: string }>('POST', '/admin/sync');
  const run = await waitForRun(admin, runId);
  const { rows, problems } = await differences(databaseUrl, expected, on);
  say(`played       ${expected.writes} writes acknowledged in ${(playedMs / 1000).toFixed(1)} s`);
  say(
    `buffered     ${compressed} bytes for ${original} bytes of JSON (${original === 0 ? '-' : Math.round((100 * compressed) / original)} %)`,
  );
  say(
    `synced       ${run.taken} taken = ${run.stored} stored + ${run.superseded} superseded + ${run.failed} failed + ${run.left} left, in ${run.durationMs} ms`,
  );
  say(`statements   ${run.statements} for ${run.taken} writes with their audit lines`);
  say(`compared     ${rows} rows, ${problems.length} differences`);
  for (const problem of problems.slice(0, 20)) say(`  ${problem}`);
  return problems.length > 0 || (run.failed ?? 0) > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
