import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, useSchool } from '../support/harness.ts';
import { testId } from '../support/test-entities.ts';

/** Sends what a nervous client sends: some copies at once, some cut off by the client, then again until it is answered. */
const request = fc.record({
  copies: fc.integer({ min: 1, max: 3 }),
  cutsOff: fc.boolean(),
  cutAfterMs: fc.nat(15),
  edits: fc.nat(2),
});

describe('I8: the same request sent twice takes effect once', () => {
  const school = useSchool();

  it('however often it comes, at once or later, cut off or not', { timeout: 60_000 }, async () => {
    const teacher = school.as('teacher001');
    const [subject] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
    const token = await school.token('teacher001');

    /** Until there is an answer that is not "still running". */
    async function send(method: string, path: string, key: string, body: object): Promise<Answer> {
      for (;;) {
        const answer = await teacher(method, path, { body, headers: { 'idempotency-key': key } });
        if (answer.body.code !== 'IDEMPOTENCY_IN_PROGRESS') return answer;
      }
    }

    async function cutOff(path: string, key: string, body: object, afterMs: number): Promise<void> {
      await fetch(`${school.baseUrl}/api/v1${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(afterMs),
      }).catch(() => {});
    }

    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (requests, syncsBetween) => {
          const run = testId('run');
          const outcomes = await Promise.all(
            requests.map(async ({ copies, cutsOff, cutAfterMs, edits }, index) => {
              const body = {
                class_subject_ids: [subject.id],
                title: `${run} ${index}`,
                due_at: '2025-09-12T18:00:00.000Z',
              };
              const key = `${run}-${index}`;
              if (cutsOff) await cutOff('/homework', key, body, cutAfterMs);
              const answers = await Promise.all(
                Array.from({ length: copies }, () => send('POST', '/homework', key, body)),
              );
              if (syncsBetween) await school.sync();
              answers.push(await send('POST', '/homework', key, body));
              for (const { status } of answers) expect(status).toBe(202);
              const created = answers[0]!.body.data;
              expect(new Set(answers.map((answer) => JSON.stringify(answer.body.data))).size).toBe(1);
              let version = created.version;
              for (let edit = 0; edit < edits; edit++) {
                // A PATCH has no key; its version says whether it has taken effect already.
                const sent = await Promise.all(
                  [1, 2].map(() =>
                    teacher('PATCH', `/homework/${created.id}`, {
                      body: { description: `edit ${edit}` },
                      headers: { 'if-match': `"${version}"` },
                    }),
                  ),
                );
                expect(sent.map(({ status }) => status).sort()).toEqual([202, 412]);
                const next = sent.find(({ status }) => status === 202)!.body.data.version;
                expect(next).toBeGreaterThan(version);
                version = next;
              }
              return { id: created.id, version, edits };
            }),
          );
          await school.sync();
          const rows = await school.rows(
            `SELECT id, version::text AS version, description FROM homework WHERE title LIKE $1`,
            [`${run} %`],
          );
          expect(rows).toHaveLength(requests.length);
          for (const { id, version, edits } of outcomes) {
            const row = rows.find((one) => one.id === id)!;
            expect(row.version).toBe(String(version));
            if (edits > 0) expect(row.description).toBe(`edit ${edits - 1}`);
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('a key belongs to its request: another one is refused and has no effect', async () => {
    const teacher = school.as('teacher001');
    const [subject] = (await teacher('GET', '/auth/me')).body.data.scopes.class_subjects;
    await fc.assert(
      fc.asyncProperty(
        fc.string({ minLength: 1, maxLength: 30 }),
        fc.string({ minLength: 1, maxLength: 30 }),
        async (first, second) => {
          const key = testId('key');
          const post = (title: string) =>
            teacher('POST', '/homework', {
              body: { class_subject_ids: [subject.id], title: `${key} ${title}.`, due_at: '2025-09-12T18:00:00.000Z' },
              headers: { 'idempotency-key': key },
            });
          const accepted = await post(`a${JSON.stringify(first)}`);
          const other = await post(`b${JSON.stringify(second)}`);
          expect([accepted.status, other.status, other.body.code]).toEqual([202, 409, 'IDEMPOTENCY_MISMATCH']);
          await school.sync();
          expect(await school.rows('SELECT id FROM homework WHERE title LIKE $1', [`${key}%`])).toEqual([
            { id: accepted.body.data.id },
          ]);
        },
      ),
      { numRuns: 5 },
    );
  });
});
