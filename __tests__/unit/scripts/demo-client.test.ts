import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DemoClient } from '../../../scripts/demo/client.ts';

let server: Server;
let url: string;
const answers: Record<string, number> = { pupil: 429, stranger: 401 };

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const { login } = JSON.parse(Buffer.concat(chunks).toString());
    response.writeHead(answers[login]!).end('{"title":"No"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
});

it.each([
  ['pupil', 'RATE_LIMIT_FACTOR=1000'],
  ['stranger', 'is DEMO_PASSWORD the one the school was seeded with?'],
])('the demo says how its login as %s may work', async (login, advice) => {
  await expect(DemoClient.login(url, login, 'password')).rejects.toThrow(advice);
});

it('the demo says that nothing answers at SCHOOLS24_URL', async () => {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  const nowhere = `http://127.0.0.1:${port}`;
  await expect(DemoClient.login(nowhere, 'admin', 'password')).rejects.toThrow(`nothing answers at ${nowhere}`);
});
