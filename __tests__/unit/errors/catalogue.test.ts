import { describe, expect, it } from 'vitest';
import { AppError, type ErrorClass } from '../../../src/errors/app-error.ts';
import * as catalogue from '../../../src/errors/catalogue.ts';

const entries = Object.entries(catalogue) as [string, ErrorClass][];

describe('error catalogue', () => {
  it('gives each kind a code of its own, in capitals, and a status that fits an error', () => {
    const codes = entries.map(([, { code }]) => code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const { code, status, title } of entries.map(([, kind]) => kind)) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      expect([400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503]).toContain(status);
      expect(title).toMatch(/^[A-Z]/);
    }
  });

  // Sections 0, 4.1, 4.4 and 4.5 of the specification.
  it.each([
    [400, ['IDEMPOTENCY_KEY_REQUIRED']],
    [401, ['BAD_CREDENTIALS', 'REFRESH_INVALID', 'REFRESH_REUSED']],
    [403, ['SUSPENDED']],
    [
      409,
      [
        'IDEMPOTENCY_MISMATCH',
        'IDEMPOTENCY_IN_PROGRESS',
        'TAKEN',
        'TEACHER_CLASH',
        'HAS_DATA',
        'DATE_OVERLAP',
        'HAS_SUBMISSIONS',
        'HAS_GRADES',
        'ALREADY_GRADED',
        'SHEET_CLOSED',
        'CORRECTION_PENDING',
        'LEAVE_OVERLAP',
      ],
    ],
    [412, ['VERSION_CONFLICT']],
    [
      422,
      [
        'WEAK_PASSWORD',
        'TOKEN_EXPIRED',
        'LAST_ADMIN',
        'SELF_DEMOTION',
        'BAD_HEADER',
        'CLASS_FULL',
        'FILE_TYPE',
        'FILE_SIZE',
        'NOT_UPLOADED',
        'BAD_WINDOW',
        'FILE_NOT_READY',
        'SUBMISSION_CLOSED',
        'REVISIONS_EXHAUSTED',
        'MARK_RANGE',
        'NOT_ENROLLED',
        'FUTURE_DATE',
        'NOT_SCHOOL_DAY',
        'EDIT_WINDOW_OVER',
        'TERM_LOCKED',
        'NO_SCHOOL_DAYS',
      ],
    ],
    [429, ['LOCKED', 'RATE_LIMITED']],
    [503, ['FLUSH_PENDING', 'BUFFER_FULL']],
  ])('has the codes that the specification answers with %i', (status, codes) => {
    for (const code of codes)
      expect([code, entries.find(([, kind]) => kind.code === code)?.[1].status]).toEqual([code, status]);
  });

  it('makes errors that know their kind, their occurrence and their cause', () => {
    const cause = new Error('42P01');
    const error = new catalogue.TakenError({
      detail: 'login is taken',
      errors: [{ pointer: '/login', detail: 'is taken' }],
      cause,
    });
    expect(error).toBeInstanceOf(AppError);
    expect(error).toBeInstanceOf(catalogue.TakenError);
    expect(error).not.toBeInstanceOf(catalogue.ConflictError);
    expect(error).toMatchObject({
      name: 'TAKEN',
      code: 'TAKEN',
      status: 409,
      message: 'login is taken',
      errors: [{ pointer: '/login', detail: 'is taken' }],
      cause,
    });
    expect(new catalogue.TakenError().message).toBe('This value is taken');
    expect(new catalogue.TakenError('in short').detail).toBe('in short');
  });
});
