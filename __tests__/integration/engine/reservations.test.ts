import { describe, expect, it } from 'vitest';
import { ValueTakenError } from '../../../src/buffer/reservations.ts';
import { useHarness } from '../../support/engine-harness.ts';
import { buildClub, testId } from '../../support/test-entities.ts';

describe('reservations of unique values', () => {
  const h = useHarness();
  const clubOf = (name: string, changes = {}) => buildClub({ name, ...changes });
  const nameOf = () => `Name ${testId('name')}`.slice(0, 40);

  it('of many who take a value at once in two processes, exactly one is acknowledged', async () => {
    const other = await h.startProcess();
    for (let round = 0; round < 10; round++) {
      const name = nameOf();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => h.putUnique('club', clubOf(name), index % 2 === 0 ? h : other)),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(ValueTakenError);
    }
    await h.flush(
      'club',
      (await h.dirty()).map((key) => key.split(' ')[1]!),
    );
    expect(await h.engine.failedWrites.list()).toEqual([]);
    await other.close();
  });

  it('its owner may write again, and holds the value until the row is stored', async () => {
    const club = clubOf(nameOf());
    await h.putUnique('club', club);
    await h.putUnique('club', { ...club, size: 5 });
    await expect(h.putUnique('club', clubOf(String(club.name)))).rejects.toBeInstanceOf(ValueTakenError);
    await h.flush('club', [String(club.id)]);
    // The constraint has taken over: the reservation is free, the row speaks.
    const second = clubOf(String(club.name));
    await h.putUnique('club', second);
    expect((await h.flush('club', [String(second.id)])).failure).toMatchObject({
      code: '23505',
      constraint: 'clubs_name_uq',
    });
  });

  it('a value given up before it was stored is free once its successor is', async () => {
    const [first, second] = [nameOf(), nameOf()];
    const club = clubOf(first);
    await h.putUnique('club', club);
    await h.putUnique('club', { ...club, name: second });
    await h.flush('club', [String(club.id)]);
    await h.putUnique('club', clubOf(first));
  });

  it('a value that a pending version still needs stays when an older version is stored', async () => {
    const [first, second] = [nameOf(), nameOf()];
    const club = clubOf(first);
    await h.putUnique('club', club);
    const [snapshot] = await h.buffer.fetch('club', [String(club.id)]);
    await h.putUnique('club', { ...club, name: second });
    await h.buffer.acknowledge('club', [snapshot!]);
    await h.engine.reservations.end(h.engine.registry.get('club'), [snapshot!.head!.document]);
    await expect(h.putUnique('club', clubOf(second))).rejects.toBeInstanceOf(ValueTakenError);
  });

  it('a refused write gives its value back, but not another owner\u2019s', async () => {
    const name = nameOf();
    const entity = h.engine.registry.get('club');
    const reservation = await h.engine.reservations.take(entity, clubOf(name));
    await reservation.giveBack();
    const owner = clubOf(name);
    await h.putUnique('club', owner);
    await reservation.giveBack();
    await expect(h.putUnique('club', clubOf(name))).rejects.toBeInstanceOf(ValueTakenError);
  });

  it('a process that dies between taking and writing blocks the value for a while only', async () => {
    const name = nameOf();
    await h.engine.reservations.take(h.engine.registry.get('club'), clubOf(name));
    const ttl = await h.redis.ttl(h.engine.keys.reservation('club', 'name', name));
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60);
  });

  it('once confirmed it has no TTL: it lasts as long as the write waits', async () => {
    const club = clubOf(nameOf());
    await h.putUnique('club', club);
    expect(await h.redis.ttl(h.engine.keys.reservation('club', 'name', String(club.name)))).toBe(-1);
    await h.flush('club', [String(club.id)]);
  });
});
