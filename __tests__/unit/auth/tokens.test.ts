import { describe, expect, it } from 'vitest';
import { newId } from '../../../src/lib/ids.ts';
import { Tokens } from '../../../src/services/auth/tokens.ts';

const key = (id: string, byte: number) => ({ id, secret: Buffer.alloc(32, byte) });
const old = key('k1', 1);
const next = key('k2', 2);
const claims = { userId: newId(), sid: newId(), roles: ['teacher' as const], epoch: 3 };
const now = Date.parse('2025-09-10T03:00:00Z');

describe('tokens', () => {
  it('A3: access and refresh tokens of an older key are good while the key is there', async () => {
    const before = new Tokens([old]);
    const access = await before.sign(claims, now);
    const refresh = before.signRefresh(claims.sid, 4);
    const rotated = new Tokens([next, old]);
    expect(await rotated.verify(access, now)).toMatchObject(claims);
    expect(rotated.verifyRefresh(refresh)).toEqual({ sid: claims.sid, generation: 4 });
    const gone = new Tokens([next]);
    await expect(gone.verify(access, now)).rejects.toMatchObject({ code: 'INVALID_TOKEN' });
    expect(() => gone.verifyRefresh(refresh)).toThrow(expect.objectContaining({ code: 'REFRESH_INVALID' }));
  });

  it('A3: the first key signs', () => {
    const refresh = new Tokens([next, old]).signRefresh(claims.sid, 1);
    expect(new Tokens([next]).verifyRefresh(refresh).generation).toBe(1);
    expect(() => new Tokens([old]).verifyRefresh(refresh)).toThrow(
      expect.objectContaining({ code: 'REFRESH_INVALID' }),
    );
  });
});
