import { describe, expect, it } from 'vitest';
import { PackError } from '../../../src/buffer/pack-buffer.ts';
import { ValueTakenError } from '../../../src/buffer/reservations.ts';
import { StaleVersionError } from '../../../src/buffer/write-buffer.ts';
import { NotFoundError } from '../../../src/errors/catalogue.ts';
import { problemOf, toAppError } from '../../../src/http/problem.ts';
import { StoreUnavailableError } from '../../../src/stores/circuit-breaker.ts';

const named = (name: string, message: string, fields: object = {}): Error =>
  Object.assign(new Error(message), { name, ...fields });

describe('what callers see of an error', () => {
  it.each([
    ['a stale version', new StaleVersionError(17), 412, 'VERSION_CONFLICT'],
    ['a taken value', new ValueTakenError('login'), 409, 'TAKEN'],
    ['a value without a place', new PackError('title: too long'), 400, 'VALIDATION_FAILED'],
    ['an open circuit breaker', new StoreUnavailableError('postgres'), 503, 'DATABASE_UNAVAILABLE'],
    [
      'Redis out of memory',
      named('ReplyError', "OOM command not allowed when used memory > 'maxmemory'."),
      503,
      'BUFFER_FULL',
    ],
    [
      'Redis away',
      named('MaxRetriesPerRequestError', 'Reached the max retries per request limit'),
      503,
      'BUFFER_UNAVAILABLE',
    ],
    [
      'Redis not connected',
      named('Error', "Stream isn't writeable and enableOfflineQueue options is false"),
      503,
      'BUFFER_UNAVAILABLE',
    ],
    [
      'Redis loading its file',
      named('ReplyError', 'LOADING Redis is loading the dataset in memory'),
      503,
      'BUFFER_UNAVAILABLE',
    ],
    ['Redis not answering', named('Error', 'Command timed out'), 503, 'BUFFER_UNAVAILABLE'],
    [
      'PostgreSQL refusing connections',
      named('Error', 'connect ECONNREFUSED 127.0.0.1:5432', { code: 'ECONNREFUSED' }),
      503,
      'DATABASE_UNAVAILABLE',
    ],
    [
      'PostgreSQL shutting down',
      named('error', 'terminating connection due to administrator command', { code: '57P01' }),
      503,
      'DATABASE_UNAVAILABLE',
    ],
    [
      'no connection free',
      named('KnexTimeoutError', 'Timeout acquiring a connection. The pool is probably full.'),
      503,
      'DATABASE_UNAVAILABLE',
    ],
    [
      'a violated constraint that no rule foresaw',
      named('error', 'duplicate key value violates unique constraint', { code: '23505' }),
      500,
      'INTERNAL',
    ],
    ['a mistake of ours', new TypeError("Cannot read properties of undefined (reading 'id')"), 500, 'INTERNAL'],
    ['a text', 'broken', 500, 'INTERNAL'],
    ['nothing', undefined, 500, 'INTERNAL'],
  ])('%s', (_what, thrown, status, code) => {
    const error = toAppError(thrown);
    expect({ status: error.status, code: error.code }).toEqual({ status, code });
    if (status >= 500) expect(error.cause).toBe(thrown);
  });

  it('a stale version comes with the current one', () => {
    const error = toAppError(new StaleVersionError(17));
    expect(error).toMatchObject({ members: { currentVersion: 17 }, headers: { ETag: '"17"' } });
  });

  it('an error of the catalogue stays what it is', () => {
    const error = new NotFoundError('no such class');
    expect(toAppError(error)).toBe(error);
  });

  it('nothing of a cause is in the document', () => {
    const document = problemOf(
      toAppError(new Error('password authentication failed for user "schools24"')),
      'r1',
      '/x',
    );
    expect(document).toEqual({
      type: expect.any(String),
      title: expect.any(String),
      status: 500,
      instance: '/x',
      code: 'INTERNAL',
      requestId: 'r1',
    });
    expect(JSON.stringify(document)).not.toContain('password');
  });
});
