import type { Answer, Call, SchoolHarness } from './harness.ts';
import { until } from './until.ts';

/** As many rows as an import takes need their time on a busy machine. */
const MOST_MS = 110_000;

/** Uploads a table as somebody who may import it. @returns the file's id */
export async function uploadTable(school: SchoolHarness, admin: Call, content: string | Buffer): Promise<string> {
  const bytes = Buffer.from(content);
  const body = { purpose: 'import', name: 'people.csv', mime: 'text/csv', size: bytes.length };
  const { data } = succeeded(await admin('POST', '/files', { body })).body;
  await fetch(school.baseUrl + data.upload_url, {
    method: 'PUT',
    headers: data.upload_headers,
    body: new Uint8Array(bytes),
  });
  succeeded(await admin('POST', `/files/${data.file_id}/complete`));
  return data.file_id;
}

/** The view of a job that has ended. */
export const endedJob = (admin: Call, id: string) =>
  until(
    'the job to end',
    async () => {
      const { data } = (await admin('GET', `/jobs/${id}`)).body;
      return data.state === 'completed' || data.state === 'failed' ? data : undefined;
    },
    MOST_MS,
  );

function succeeded(answer: Answer): Answer {
  if (answer.status >= 300) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}
