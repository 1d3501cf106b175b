import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import type { DomainEvent, EventConsumer } from '../../../src/lib/events.ts';
import { newId } from '../../../src/lib/ids.ts';
import { buildEvent } from '../../support/build-event.ts';
import { useSchool } from '../../support/harness.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const NAME = 'test-log-trouble';
const handled: DomainEvent[] = [];
const recorder: EventConsumer = {
  name: NAME,
  service: 'homework',
  on: ['leave.decided'],
  handle: async (event) => void handled.push(event),
};
const wire = await TcpProxy.open(process.env.REDIS_URL!);
/** Past the wire. */
const redis = new Redis(process.env.REDIS_URL!);
// The school, which needs the wire to its end, is closed before.
afterAll(async () => {
  redis.disconnect();
  await wire.close();
});
const school = useSchool({ REDIS_URL: wire.url }, [recorder]);

/** As the buffer's script does: the next entry of the log, and a hint. */
const append = async (event: DomainEvent): Promise<void> => {
  const { keys } = school.engine;
  await redis.xadd(keys.events(0), '*', 'event', JSON.stringify(event));
  await redis.publish(keys.channel('events'), keys.events(0));
};
const arrived = (aggregateId: string, count: number) =>
  until(`${count} events of ${aggregateId}`, async () => {
    const numbers = handled.filter((event) => event.aggregateId === aggregateId).map(({ payload }) => payload.number);
    return numbers.length >= count ? numbers : undefined;
  });

describe('events', () => {
  it('come in their order, though the connection breaks before it brings what was taken from the log', async () => {
    const aggregate = newId();
    await append(buildEvent(aggregate, 1));
    await arrived(aggregate, 1);
    const cut = wire.cutBeforeAnswerTo((data) => {
      const text = String(data);
      return text.includes('xreadgroup') && text.includes(NAME);
    });
    await append(buildEvent(aggregate, 2));
    await cut;
    await append(buildEvent(aggregate, 3));
    expect(await arrived(aggregate, 3)).toEqual([1, 2, 3]);
  });

  it('come to a consumer whose place in the log is gone', async () => {
    const aggregate = newId();
    const key = school.engine.keys.events(0);
    await redis.xgroup('DESTROY', key, NAME);
    await append(buildEvent(aggregate, 1));
    expect(await arrived(aggregate, 1)).toEqual([1]);
    await redis.del(key);
    await append(buildEvent(aggregate, 2));
    expect(await arrived(aggregate, 2)).toEqual([1, 2]);
  });

  it('come and are confirmed although the place in the log was made anew, before what others have still to handle', async () => {
    const aggregate = newId();
    const key = school.engine.keys.events(0);
    for (let number = 1; number <= 25; number++) await append(buildEvent(aggregate, number));
    await arrived(aggregate, 25);
    await redis.xgroup('DESTROY', key, NAME);
    await redis.xgroup('CREATE', key, NAME, '0');
    await append(buildEvent(aggregate, 26));
    expect((await arrived(aggregate, 26)).at(-1)).toBe(26);
    await until('all are confirmed', async () => {
      const [unconfirmed] = (await redis.xpending(key, NAME)) as [number];
      return unconfirmed === 0 || undefined;
    });
    // What was handled is known by its id.
    expect(handled.filter(({ aggregateId }) => aggregateId === aggregate)).toHaveLength(26);
  });

  it('are not trimmed away while nobody has a place in the log', async () => {
    const key = school.engine.keys.events(0);
    await redis.del(key);
    await redis.xadd(key, '*', 'event', JSON.stringify(buildEvent(newId(), 1)));
    await school.engine.eventLog.trim(0, Date.now());
    expect(await redis.xlen(key)).toBe(1);
  });
});
