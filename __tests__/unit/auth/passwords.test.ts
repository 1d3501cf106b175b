import { describe, expect, it } from 'vitest';
import { hashPassword, isPassword, newTemporaryPassword, requireStrong } from '../../../src/services/auth/passwords.ts';

const check = (password: string) => () => requireStrong(password, 'asha.verma@school', '/new_password');

describe('passwords', () => {
  it.each([
    ['nine characters', 'k7vQ2mZp4'],
    ['nine characters of two units each', '😀'.repeat(9)],
    ['the login', 'asha.verma@school'],
    ['the login in capitals', 'ASHA.VERMA@SCHOOL'],
    ['a common one', '1q2w3e4r5t6y'],
    ['a common one in other letters', 'PassWord123'],
    ['a common one in wide letters', 'ｐａｓｓｗｏｒｄ123'],
  ])('A1: refuses %s', (_what, password) => {
    expect(check(password)).toThrow(
      expect.objectContaining({ code: 'WEAK_PASSWORD', status: 422, errors: [expect.anything()] }),
    );
  });

  it.each(['k7vQ2mZp4x', 'मेरा पासवर्ड लंबा है', 'correct horse battery'])('A1: takes %s', (password) => {
    expect(check(password)).not.toThrow();
  });

  it('A1: are hashed with argon2id', async () => {
    const hash = await hashPassword('k7vQ2mZp4x');
    expect(hash).toMatch(/^\$argon2id\$/);
    expect(await isPassword(hash, 'k7vQ2mZp4x')).toBe(true);
    expect(await isPassword(hash, 'k7vQ2mZp4X')).toBe(false);
    expect(await isPassword(null, 'k7vQ2mZp4x')).toBe(false);
  });

  it('A1: temporary ones are strong, and none comes twice', () => {
    const made = new Set(Array.from({ length: 200 }, newTemporaryPassword));
    expect(made.size).toBe(200);
    for (const password of made) expect(check(password)).not.toThrow();
  });
});
