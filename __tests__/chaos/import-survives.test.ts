import { afterAll, beforeAll, expect, it } from 'vitest';
import { useMailFolder } from '../support/mails.ts';
import { type SchoolProcess, SchoolProcesses } from '../support/school-processes.ts';
import { until } from '../support/until.ts';

const ROWS = 600;
const KILLS = 2;

const mails = useMailFolder();
const school = new SchoolProcesses({ DATA_DIR: mails.dataDir });
let web: SchoolProcess;
let token: string;

beforeAll(async () => {
  await school.open();
  web = await school.startWeb();
  token = await school.login(web, 'admin');
}, 120_000);
afterAll(() => school.close());

async function upload(content: string): Promise<string> {
  const body = { purpose: 'import', name: 'people.csv', mime: 'text/csv', size: content.length };
  const { data } = (await web.call('POST', '/api/v1/files', { token, body })).body;
  await fetch(web.baseUrl + data.upload_url, { method: 'PUT', headers: data.upload_headers, body: content });
  expect((await web.call('POST', `/api/v1/files/${data.file_id}/complete`, { token })).status).toBe(200);
  return data.file_id;
}

it('I8: an import makes and invites each user once, though workers are killed while they run it', async () => {
  const rows = Array.from(
    { length: ROWS },
    (_, i) => `imp${i},driver,imp${i}@x.example,Name ${i},I${i},Driver,2025-06-02`,
  );
  const file_id = await upload(['login,roles,email,full_name,employee_no,designation,joined_on', ...rows].join('\n'));
  const asked = await web.call('POST', '/api/v1/imports/users', { token, body: { file_id } });
  expect(asked.status).toBe(202);
  const job = async () => (await web.call('GET', `/api/v1/jobs/${asked.body.data.id}`, { token })).body.data;
  const made = async (): Promise<number> =>
    (await school.rows("SELECT count(*)::int AS n FROM users WHERE login LIKE 'imp%'"))[0]!.n as number;

  let worker = await school.startReadyWorker();
  for (let kill = 1; kill <= KILLS; kill++) {
    const enough = (kill * ROWS) / (KILLS + 1);
    await until(`${enough} users`, async () => ((await made()) >= enough ? true : undefined), 120_000);
    await worker.end('SIGKILL');
    expect((await job()).state).not.toBe('completed');
    worker = await school.startReadyWorker();
  }
  const { result } = await until(
    'the end of the import',
    async () => {
      const view = await job();
      return view.state === 'completed' || view.state === 'failed' ? view : undefined;
    },
    120_000,
  );
  expect(result).toEqual({ rows: ROWS, stored: ROWS, failed: 0, errors: [], errors_left_off: 0 });
  expect(await made()).toBe(ROWS);
  expect(await school.rows("SELECT count(*)::int AS n FROM staff WHERE employee_no LIKE 'I%'")).toEqual([{ n: ROWS }]);
  // One mail each: one that was sent twice is the same mail with the same link.
  const sent = () => mails.all().flatMap((mail) => /^To: (imp\d+@x\.example)/m.exec(mail)?.[1] ?? []);
  await until('a mail to each', async () => (new Set(sent()).size === ROWS ? true : undefined), 120_000);
  expect(sent()).toHaveLength(ROWS);
  expect(
    await school.rows(
      `SELECT count(*)::int AS tokens, count(DISTINCT user_id)::int AS users FROM auth_tokens t JOIN users u ON u.id = t.user_id
       WHERE u.login LIKE 'imp%'`,
    ),
  ).toEqual([{ tokens: ROWS, users: ROWS }]);
});
