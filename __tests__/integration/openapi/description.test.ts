import { describe, expect, it } from 'vitest';
import { KINDS } from '../../../src/http/openapi/problems.ts';
import { UndescribedAnswerError } from '../../support/api-description.ts';
import { useSchool } from '../../support/harness.ts';

const school = useSchool();
const nobody = school.as(undefined);

describe('/openapi.json', () => {
  it('is kept by its ETag', async () => {
    const first = await nobody('GET', '/openapi.json');
    expect(first).toMatchObject({ status: 200, body: { openapi: '3.1.0' } });
    const again = await nobody('GET', '/openapi.json', { headers: { 'if-none-match': first.headers.get('etag')! } });
    expect({ status: again.status, body: again.body }).toEqual({ status: 304, body: '' });
  });

  it('says of each buffered write where it goes and by when', () => {
    const { operation } = school.description.find('PUT', '/api/v1/attendance/classes/x/sheets/y')!;
    expect(operation.description).toContain('within 60 s at the latest (lane `fast`)');
    const silent = school.description
      .operations()
      .filter(({ operation: { responses } }) => responses['202']?.headers?.['Sync-Status']?.required)
      .filter(({ operation: { description } }) => !description?.includes('Entity `'))
      .map(({ method, path }) => `${method} ${path}`);
    expect(silent).toEqual([]);
  });

  it('says where a rule may refuse, and what is no envelope', () => {
    const timetable = school.description.find('PUT', '/api/v1/classes/x/timetable')!.operation;
    expect(JSON.stringify(timetable.responses['422'])).toContain('RULE_BROKEN');
    const typeOf = (path: string) =>
      Object.keys(school.description.find('GET', path)!.operation.responses['200']!.content!);
    expect(typeOf('/api/v1/calendar.ics')).toEqual(['text/calendar']);
    expect(typeOf('/api/v1/stream')).toEqual(['text/event-stream']);
  });

  it('has examples that fit their schemas', () => {
    const wrong: string[] = [];
    for (const { path, method, operation } of school.description.operations()) {
      const base = ['paths', path, method];
      const parts = [
        ...Object.entries(operation.requestBody?.content ?? {}).map(([type, content]) => ({
          content,
          pointer: [...base, 'requestBody', 'content', type, 'schema'],
        })),
        ...Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
          Object.entries(content).map(([type, one]) => ({
            content: one,
            pointer: [...base, 'responses', status, 'content', type, 'schema'],
          })),
        ),
      ];
      for (const { content, pointer } of parts) {
        if (content.example === undefined) continue;
        const problems = school.description.validate(pointer, content.example);
        if (problems.length > 0) wrong.push(`${method} ${path}: ${problems.join(', ')} (npm run openapi:examples)`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('shows a real answer of each kind of error', async () => {
    const { components } = (await nobody('GET', '/openapi.json')).body;
    const answer = (await school.as('admin')('POST', '/academic-years', { body: { name: 'never' } })).body;
    const { instance: _i, requestId: _r, errors: _e, ...kind } = components.examples.VALIDATION_FAILED.value;
    expect(answer).toMatchObject(kind);
    for (const [code, { value }] of Object.entries<{ value: object }>(components.examples)) {
      expect(value).toMatchObject({ code });
      expect(school.description.validate(['components', 'schemas', 'Problem'], value)).toEqual([]);
    }
  });

  it('is what answers are held against: each kind of deviation is named with its path', () => {
    const check = (body: unknown, status = 200, more: Record<string, string> = {}) => {
      const headers = new Headers({
        'content-type': status < 400 ? 'application/json' : 'application/problem+json',
        'x-request-id': '12345678',
        ratelimit: '"default";r=1;t=1',
        'ratelimit-policy': '"default";q=1;w=1',
        ...more,
      });
      return () => school.description.check('GET', '/api/v1/subjects', { status, headers, body });
    };
    const subject = { id: '0190c0de-0000-7000-8000-000000000001', code: 'M', name: 'Maths', is_elective: false };
    expect(check({ data: [subject], meta: {} })).not.toThrow();
    expect(check({ data: [{ ...subject, secret: 1 }], meta: {} })).toThrow('/data/0/secret is not declared');
    expect(check({ data: [{ ...subject, code: undefined }], meta: {} })).toThrow(UndescribedAnswerError);
    expect(check({ data: [], meta: { mood: 1 } })).toThrow('/meta/mood is not declared');
    expect(check({ data: [], meta: {} }, 201)).toThrow('status 201 is not declared');
    expect(check({ data: [], meta: {} }, 200, { ratelimit: 'x' })).toThrow('header RateLimit');
    const problem = { type: '/docs', title: '', status: 400, instance: '/', code: 'FILE_TYPE', requestId: 'x' };
    expect(check(problem, 400)).toThrow('code is not among those declared');
  });
});

describe('/docs', () => {
  it('is served with all it needs, under a policy that lets nothing else in', async () => {
    const { body, status, headers } = await nobody('GET', '/docs');
    expect(status).toBe(200);
    expect(headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    const files = [...(body as string).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(4);
    for (const file of files)
      expect({ file, status: (await nobody('GET', file)).status }).toEqual({ file, status: 200 });
  });

  it('explains every error where `type` points', async () => {
    const { body } = await nobody('GET', '/docs/errors');
    for (const [code] of KINDS) expect(body).toContain(`id="${code.toLowerCase().replaceAll('_', '-')}"`);
  });

  it('serves no other file of the package', async () => {
    expect((await nobody('GET', '/docs/swagger-ui-bundle.js.map')).status).toBe(404);
    expect((await nobody('GET', '/docs/..%2fpackage.json')).status).toBe(404);
  });
});
