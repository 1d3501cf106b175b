import { connect, type Socket } from 'node:net';
import Joi from 'joi';
import { afterEach, describe, expect, it } from 'vitest';
import { defineRoute, ok, written } from '../../../src/lib/route.ts';
import { Platform } from '../../support/platform.ts';
import { receipt } from '../../support/receipts.ts';
import { until } from '../../support/until.ts';

let release = () => {};
let gate = Promise.resolve();
const close = () => {
  gate = new Promise((resolve) => {
    release = resolve;
  });
};
let isAccepting = true;

const base = { service: 'things', summary: '', response: Joi.any(), access: 'authenticated' as const };
const routes = [
  defineRoute({ ...base, method: 'GET', path: '/slow', mode: 'R', handle: () => gate.then(() => ok('done')) }),
  defineRoute({ ...base, method: 'GET', path: '/fast', mode: 'R', handle: async () => ok('done') }),
  defineRoute({ ...base, method: 'POST', path: '/writes', mode: 'B', handle: async () => written('kept', [receipt]) }),
];

/** A connection that keeps what it receives. */
function open(
  port: number,
): Promise<{ socket: Socket; text: () => string; ended: Promise<void>; get(path: string): void }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => {});
    const ended = new Promise<void>((end) => socket.on('close', () => end()));
    const get = (path: string) =>
      void socket.write(`GET /api/v1${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer teacher\r\n\r\n`);
    socket.on('connect', () => resolve({ socket, text: () => text, ended, get }));
  });
}

describe('under load', () => {
  let platform: Platform | undefined;
  const start = async (mostInFlight?: number): Promise<Platform> => {
    platform = new Platform(routes, {
      ...(mostInFlight === undefined ? {} : { mostInFlight }),
      acceptsWrites: () => isAccepting,
    });
    await platform.open();
    return platform;
  };

  afterEach(async () => {
    release();
    isAccepting = true;
    await platform?.close();
    platform = undefined;
  });

  it('more requests than it can hold are shed with 503 and Retry-After; those it took are answered', async () => {
    close();
    const here = await start(10);
    const taken = Array.from({ length: 10 }, () => here.call('GET', '/slow'));
    const shed = await until('load to be shed', async () => {
      const answer = await here.call('GET', '/fast');
      return answer.status === 503 ? answer : undefined;
    });
    expect(shed.body.code).toBe('OVERLOADED');
    expect(shed.headers.get('retry-after')).toBe('5');
    release();
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect((await here.call('GET', '/fast')).status).toBe(200);
  });

  it('a burst far beyond the bound gets an answer each', async () => {
    const { baseUrl } = await start(20);
    const answers = await Promise.all(
      Array.from({ length: 400 }, () =>
        fetch(`${baseUrl}/api/v1/fast`, { headers: { authorization: 'Bearer teacher' } }),
      ),
    );
    const counted = Map.groupBy(answers, ({ status }) => status);
    expect([...counted.keys()].every((status) => status === 200 || status === 503)).toBe(true);
    expect(counted.get(200)!.length).toBeGreaterThan(0);
  });

  it('buffered writes get 503 while the buffer takes none; reads go on', async () => {
    const here = await start();
    isAccepting = false;
    const { status, headers, body } = await here.call('POST', '/writes');
    expect({ status, code: body.code, wait: headers.get('retry-after') }).toEqual({
      status: 503,
      code: 'BUFFER_FULL',
      wait: '5',
    });
    expect((await here.call('GET', '/fast')).status).toBe(200);
    isAccepting = true;
    expect((await here.call('POST', '/writes')).status).toBe(202);
  });

  it('slow clients keep nobody else waiting', async () => {
    const here = await start(10);
    const slow = await Promise.all(Array.from({ length: 50 }, () => open(here.port)));
    for (const { socket } of slow) socket.write('POST /api/v1/writes HTTP/1.1\r\nHost: x\r\nContent-');
    expect((await here.call('GET', '/fast')).status).toBe(200);
    for (const { socket } of slow) socket.destroy();
  });
});

describe('stopping', () => {
  it('answers what is under way, closes those connections and the idle ones, and takes no more', async () => {
    close();
    const platform = new Platform(routes, {});
    await platform.open();
    const [busy, idle] = await Promise.all([open(platform.port), open(platform.port)]);
    busy.get('/slow');
    idle.get('/fast');
    await until('the idle request', async () =>
      idle.text().includes('done') && platform.observed.length === 1 ? true : undefined,
    );
    const stopped = platform.server.stop();
    await idle.ended;
    await expect(fetch(`${platform.baseUrl}/healthz`)).rejects.toThrow();
    expect(busy.text()).toBe('');
    release();
    await Promise.all([stopped, busy.ended]);
    expect(busy.text()).toMatch(/^HTTP\/1.1 200[\s\S]*connection: close[\s\S]*done/i);
    await platform.close();
  });

  it('cuts what does not end within its time', async () => {
    close();
    const platform = new Platform(routes, {});
    await platform.open();
    const busy = await open(platform.port);
    busy.get('/slow');
    await until('the load to go', async () =>
      (await platform.call('GET', '/fast')).status === 200 ? true : undefined,
    );
    await platform.server.stop(100);
    await busy.ended;
    expect(busy.text()).toBe('');
    release();
    await platform.close();
  });
});

describe('liveness', () => {
  it('healthz answers without asking anybody', async () => {
    const platform = new Platform(routes, {});
    await platform.open();
    await platform.withoutRedis(async () => {
      const response = await fetch(`${platform.baseUrl}/healthz`);
      expect({ status: response.status, body: await response.json() }).toEqual({ status: 200, body: { status: 'ok' } });
    });
    await platform.close();
  });
});
