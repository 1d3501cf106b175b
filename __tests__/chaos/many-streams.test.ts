import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namedId } from '../../src/lib/ids.ts';
import { type SchoolProcess, SchoolProcesses } from '../support/school-processes.ts';
import { DEMO_PASSWORD } from '../support/template.ts';
import { until } from '../support/until.ts';

const USERS = 100;
const STREAMS_EACH = 5;
const LOGINS_A_SECOND = 50;
const LOGIN_SECONDS = 5;

/** A client that keeps what it receives; leaner than fetch, so that the server is what is measured. */
class Client {
  text = '';
  isEnded = false;
  endedMs = 0;
  readonly socket: Socket;

  constructor(port: number, token: string) {
    this.socket = connect(port, '127.0.0.1', () =>
      this.socket.write(`GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`),
    );
    this.socket.on('data', (chunk) => {
      this.text += String(chunk);
      // The last chunk of the answer.
      if (this.text.endsWith('\r\n0\r\n\r\n')) this.#end();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => this.#end());
  }

  #end(): void {
    if (!this.isEnded) this.endedMs = performance.now();
    this.isEnded = true;
  }
}

/** CPU time of a process so far, ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const loginOf = (index: number): string => `student${String(index + 1).padStart(4, '0')}`;

describe('500 open streams', () => {
  const school = new SchoolProcesses();
  let web: SchoolProcess;
  let tokens: string[];
  let clients: Client[];
  const report: Record<string, number> = {};

  beforeAll(async () => {
    await school.open();
    web = await school.startWeb();
    tokens = [];
    for (let index = 0; index < USERS; index++) tokens.push(await school.login(web, loginOf(index)));
  }, 120_000);
  afterAll(async () => {
    process.stderr.write(`500 streams: ${JSON.stringify(report)}\n`);
    await school.close();
  });

  it('open, and cost little', async () => {
    const port = Number(new URL(web.baseUrl).port);
    const before = cpuMs(web.child.pid!);
    clients = tokens.flatMap((token) => Array.from({ length: STREAMS_EACH }, () => new Client(port, token)));
    await until('all to be ready', async () =>
      clients.every(({ text }) => text.includes('event: stream.ready')) ? true : undefined,
    );
    report.openCpuMs = cpuMs(web.child.pid!) - before;
    const idle = cpuMs(web.child.pid!);
    const startedMs = performance.now();
    await until(
      'a heartbeat of all',
      async () => (clients.every(({ text }) => text.includes('\n:\n')) ? true : undefined),
      60_000,
    );
    report.idleCpuShare = (cpuMs(web.child.pid!) - idle) / (performance.now() - startedMs);
    expect(clients.every(({ text }) => text.startsWith('HTTP/1.1 200'))).toBe(true);
  });

  it('let 50 people a second log in without an error', async () => {
    const answers: Promise<number>[] = [];
    const startedMs = performance.now();
    while (answers.length < LOGINS_A_SECOND * LOGIN_SECONDS) {
      const due = ((performance.now() - startedMs) / 1_000) * LOGINS_A_SECOND;
      while (answers.length < due) {
        const body = { login: loginOf(answers.length % USERS), password: DEMO_PASSWORD };
        answers.push(web.call('POST', '/api/v1/auth/login', { body }).then(({ status }) => status));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
    expect(clients.filter(({ isEnded }) => isEnded)).toEqual([]);
  });

  it('A4: are cut when their account is suspended; the others stay', async () => {
    const admin = await school.login(web, 'admin');
    const suspended = tokens.slice(0, 20);
    const startedMs = performance.now();
    const answers = await Promise.all(
      suspended.map((_, index) =>
        web.call('POST', `/api/v1/users/${namedId(`user:${loginOf(index)}`)}/suspend`, { token: admin }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(suspended.map(() => 200));
    const theirs = clients.slice(0, suspended.length * STREAMS_EACH);
    await until('the cut', async () => (theirs.every(({ isEnded }) => isEnded) ? true : undefined));
    report.cutAfterMs = Math.max(...theirs.map(({ endedMs }) => endedMs)) - startedMs;
    expect(theirs.every(({ text }) => text.includes('{"code":"SESSION_ENDED"}'))).toBe(true);
    expect(clients.slice(theirs.length).filter(({ isEnded }) => isEnded)).toEqual([]);
  });

  it('I10: end when the process stops, which it does in order', async () => {
    const { code, afterMs } = await web.end('SIGTERM');
    report.stopMs = afterMs;
    expect(code).toBe(0);
    await until('the end of all', async () => (clients.every(({ isEnded }) => isEnded) ? true : undefined));
    const left = clients.slice(20 * STREAMS_EACH);
    expect(left.every(({ text }) => text.includes('{"code":"SHUTTING_DOWN"}'))).toBe(true);
  });
});
