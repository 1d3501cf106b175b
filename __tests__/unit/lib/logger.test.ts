import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger, type LoggerOptions } from '../../../src/lib/logger.ts';

function createCapture(level: LoggerOptions['level'] = 'debug') {
  const stream = new PassThrough();
  const log = createLogger({ level, role: 'test', stream });
  const text = () => String(stream.read() ?? '');
  return { log, text, line: () => JSON.parse(text()) };
}

describe('logger', () => {
  it('writes level, message, role, time and fields as one JSON line', () => {
    const { log, line } = createCapture();
    log.info('synced', { rows: 3 });
    expect(line()).toMatchObject({
      level: 'info',
      message: 'synced',
      role: 'test',
      rows: 3,
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });

  it('leaves out what is below its level', () => {
    const { log, text } = createCapture('warn');
    log.info('quiet');
    log.debug('quieter');
    expect(text()).toBe('');
  });

  it('gives the fields of a child to all its lines', () => {
    const { log, line } = createCapture();
    log.child({ requestId: 'r1' }).child({ entity: 'homework' }).warn('late', { key: 'k' });
    expect(line()).toMatchObject({ requestId: 'r1', entity: 'homework', key: 'k', message: 'late' });
  });

  it.each([
    'password',
    'password_hash',
    'refreshToken',
    'authorization',
    'Cookie',
    'phone',
    'guardian_phone',
    'email',
    'apiKey',
    'secret',
  ])('hides %s at any depth', (name) => {
    const { log, text } = createCapture();
    log.info('m', { [name]: 'VALUE', list: [{ deep: { [name]: { inner: 'VALUE' } } }] });
    log.child({ [name]: 'VALUE' }).info('m');
    const written = text();
    expect(written).toContain('[redacted]');
    expect(written).not.toContain('VALUE');
  });

  it('keeps one line one line and one message one message, whatever is in them', () => {
    const { log, text } = createCapture();
    log.info('said\n{"level":"error","message":"forged"}', {
      path: '/a\r\n{"level":"error"}',
      level: 'error',
      message: 'other',
    });
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!).level).toBe('info');
  });

  it('shows errors with code, stack and cause, but not the row values that drivers add', () => {
    const { log, line } = createCapture();
    const cause = Object.assign(new Error('duplicate key'), {
      code: '23505',
      detail: 'Key (email)=(a@b.c) already exists.',
    });
    log.error('not stored', { error: new Error('batch failed', { cause }) });
    const written = line();
    expect(written.error).toMatchObject({
      name: 'Error',
      message: 'batch failed',
      stack: expect.stringContaining('logger.test'),
      cause: { code: '23505', message: 'duplicate key' },
    });
    expect(JSON.stringify(written)).not.toContain('a@b.c');
  });

  it('tells error reports of errors, redacted, and of nothing else', () => {
    const told: unknown[][] = [];
    const reports = { report: (...args: unknown[]) => void told.push(args), flush: async () => {} };
    const log = createLogger({ level: 'info', role: 'test', stream: new PassThrough(), reports });
    const error = new Error('broken');
    log.warn('heals itself', { error });
    log.child({ requestId: 'r1' }).error('request failed', { error, token: 'VALUE' });
    expect(told).toEqual([
      ['request failed', error, expect.objectContaining({ requestId: 'r1', token: '[redacted]' })],
    ]);
  });

  it('takes anything for a field', () => {
    const { log, line } = createCapture();
    const ring: Record<string, unknown> = {};
    ring.self = ring;
    log.info('odd', {
      big: 1n,
      bytes: Buffer.from('secret bytes'),
      when: new Date(0),
      nothing: undefined,
      symbol: Symbol('s'),
      ring,
      map: new Map([['a', 1]]),
    });
    expect(line()).toMatchObject({ big: '1', bytes: '[12 bytes]', when: '1970-01-01T00:00:00.000Z' });
  });

  it('cuts texts without end', () => {
    const { log, text } = createCapture();
    log.info('long', { body: 'x'.repeat(100_000) });
    expect(text().length).toBeLessThan(10_000);
  });
});
