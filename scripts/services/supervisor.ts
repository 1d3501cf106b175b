/**
 * The process that runs the servers of one data folder and outlives whoever asked for them just long enough to stop them.
 *
 * It holds the folder's exclusive socket. A client connects, acquires services and keeps the connection; the connection is
 * its share in them. When the last one has closed (by `release`, by the client's end, by kill -9 of the client) the servers
 * are stopped, a throwaway folder is removed, and this process ends. Standard input counts as a share until the first
 * connection, so that a starter killed before it could connect leaves nothing behind. While stopping, the socket stays taken: newcomers
 * wait for its end and then start a supervisor of their own.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { exclusiveAddress, listenExclusively } from '../lib/exclusive-socket.mjs';
import { type Answer, encodeLine, type Request, readLines, type SupervisorOptions } from './protocol.ts';
import { ServerSet } from './server-set.ts';
import { sweepThrowaways } from './sweep-throwaways.ts';

const options = JSON.parse(process.argv[2]!) as SupervisorOptions;
const holders = new Set<Socket | NodeJS.ReadStream>([process.stdin]);
const clients = new Set<Socket>();
/** Told when everything has stopped. */
const leaving = new Set<Socket>();
let served = 0;
let stopping: Promise<void> | undefined;

const broadcast = (level: 'info' | 'warn', message: string): void => {
  for (const client of clients) client.write(encodeLine({ type: 'log', level, message }));
};
const servers = new ServerSet({
  ...options,
  log: { info: (message) => broadcast('info', message), warn: (message) => broadcast('warn', message) },
});

const listener = createServer((client) => {
  client.on('error', () => {});
  clients.add(client);
  client.on('close', () => {
    clients.delete(client);
    letGo(client);
  });
  // whoever comes while we stop learns from the closing connection that it is over
  if (stopping) return;
  holders.add(client);
  // the starter needs its first share no longer; kept, it would let the release that follows return too early
  holders.delete(process.stdin);
  readLines<Request>(client, (request) => void answer(client, request));
});

async function answer(client: Socket, request: Request): Promise<void> {
  if (request.type === 'release') {
    holders.delete(client);
    if (holders.size > 0) client.end(encodeLine({ type: 'released' }));
    else {
      leaving.add(client);
      await stopAll();
    }
    return;
  }
  const isReused = served > 0;
  served += 1;
  const results = await Promise.allSettled(
    request.services.map((name) => servers.ensure(name, request.extraArgs[name] ?? [])),
  );
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [String(result.reason?.message ?? result.reason)] : [],
  );
  const services = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const reply: Answer =
    failures.length > 0
      ? { type: 'failed', message: failures.join('\n') }
      : { type: 'ready', services, isReused, supervisorPid: process.pid };
  client.write(encodeLine(reply));
}

function letGo(holder: Socket | NodeJS.ReadStream): void {
  if (holders.delete(holder) && holders.size === 0) void stopAll();
}

function stopAll(): Promise<void> {
  stopping ??= (async () => {
    await servers.stop();
    if (options.throwaway) await rm(options.dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    await Promise.all(
      [...leaving].map((client) => new Promise<void>((done) => client.end(encodeLine({ type: 'released' }), done))),
    );
    process.exit(0);
  })();
  return stopping;
}

// a terminal's Ctrl-C is for the command; this process follows when the command lets go
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('SIGTERM', () => void stopAll());
process.stdin.on('end', () => letGo(process.stdin)).on('error', () => letGo(process.stdin));

if (!(await listenExclusively(listener, exclusiveAddress('services', options.dataDir)))) process.exit(0);
process.stdin.resume();
if (options.throwaway) void sweepThrowaways(options.dataDir);
