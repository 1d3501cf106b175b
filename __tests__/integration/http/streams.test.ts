import { connect } from 'node:net';
import Joi from 'joi';
import { describe, expect, it } from 'vitest';
import { defineRoute, type OpenAnswer } from '../../../src/lib/route.ts';
import { usePlatform } from '../../support/platform.ts';
import { until } from '../../support/until.ts';

let answer: OpenAnswer | undefined;
let isClosed = false;

const routes = [
  defineRoute({
    method: 'GET',
    path: '/endless',
    service: 'things',
    summary: '',
    mode: 'R',
    access: 'authenticated',
    response: Joi.string(),
    produces: 'text/plain',
    handle: async () => ({
      status: 200,
      stream: {
        contentType: 'text/plain',
        start(open) {
          answer = open;
          isClosed = false;
          open.onClose(() => {
            isClosed = true;
          });
        },
      },
    }),
  }),
];

describe('an answer that goes on', () => {
  const platform = usePlatform(routes);
  const request = 'GET /api/v1/endless HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer teacher\r\n\r\n';
  const opened = () => until('the answer', async () => answer);

  it('is sent as it comes and ends in order', async () => {
    answer = undefined;
    const response = await fetch(`${platform.baseUrl}/api/v1/endless`, {
      headers: { authorization: 'Bearer teacher' },
    });
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(response.headers.get('x-request-id')).toBeTruthy();
    const reader = response.body!.getReader();
    const { write, end } = await opened();
    for (const text of ['first', 'second']) {
      write(text);
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(text);
    }
    end();
    expect((await reader.read()).done).toBe(true);
    await until('the close', async () => (isClosed ? true : undefined));
    write('nobody hears this');
  });

  it('is cut when its client does not read: what waits for it stays small', async () => {
    answer = undefined;
    const socket = connect(platform.port, '127.0.0.1', () => socket.write(request));
    socket.on('error', () => {});
    socket.pause();
    const { write } = await opened();
    const piece = 'x'.repeat(16 * 1024);
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    let sent = 0;
    while (!isClosed && sent < 100_000) {
      write(piece);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(isClosed).toBe(true);
    // The kernel's buffers have taken some megabytes; what the process holds itself is a few pieces.
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    expect(grown).toBeLessThan(64 * 1024 * 1024);
    socket.destroy();
  });

  it('is told at once when its client has gone before it began', async () => {
    answer = undefined;
    const socket = connect(platform.port, '127.0.0.1', () => {
      socket.write(request);
      socket.destroy();
    });
    await opened();
    await until('the close', async () => (isClosed ? true : undefined));
  });

  it('is a head alone for who asks for no more: it ends, and its connection serves the next request', async () => {
    answer = undefined;
    isClosed = false;
    const socket = connect(platform.port, '127.0.0.1', () =>
      socket.write(`${request.replace('GET', 'HEAD')}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`),
    );
    let received = '';
    socket.on('data', (data) => {
      received += String(data);
    });
    await until('the next answer', async () => (received.includes('{"status":"ok"}') ? true : undefined));
    expect(received).toMatch(/^HTTP\/1\.1 200/);
    expect(isClosed).toBe(true);
    socket.destroy();
  });

  it('does not count as a request under way', async () => {
    answer = undefined;
    const response = await fetch(`${platform.baseUrl}/api/v1/endless`, {
      headers: { authorization: 'Bearer teacher' },
    });
    const { end } = await opened();
    expect(platform.observed.at(-1)).toMatchObject({ route: '/endless', status: 200 });
    end();
    await response.text();
  });
});
