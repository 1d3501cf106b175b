import { createServer } from 'node:net';
import { exclusiveAddress, listenExclusively } from '../lib/exclusive-socket.mjs';

/** @returns `preferred` when nobody listens there on loopback, else one that the system gives */
export async function freePort(preferred = 0): Promise<number> {
  return (await portIfFree(preferred)) ?? (await portIfFree(0))!;
}

function portIfFree(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}

/** A port of loopback that other starts of this user leave alone until it is released, or this process ends. */
export interface PortClaim {
  port: number;
  release(): void;
}

/**
 * As `freePort`, for a server that will listen a moment later: two starts that both find the usual port free would else
 * both send their server there, and the loser would take the winner's for its own.
 */
export async function claimPort(preferred = 0): Promise<PortClaim> {
  for (let wanted = preferred; ; wanted = 0) {
    const port = await freePort(wanted);
    const lock = createServer();
    if (await listenExclusively(lock, exclusiveAddress('port', String(port)))) {
      lock.unref();
      return { port, release: () => lock.close() };
    }
  }
}
