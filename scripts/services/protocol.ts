import type { Readable } from 'node:stream';
import type { ProvidedService, ServiceName } from './types.ts';

/** What a client asks its supervisor: one JSON object a line, then `release` before it goes. */
export type Request =
  | { type: 'acquire'; services: ServiceName[]; extraArgs: Partial<Record<ServiceName, string[]>> }
  | { type: 'release' };

/**
 * What the supervisor answers. After `release` it says `released` and ends the connection: at once when others still hold a
 * share, else when everything has stopped. A connection that ends without it was cut, and its servers may still run.
 */
export type Answer =
  | { type: 'log'; level: 'info' | 'warn'; message: string }
  | { type: 'ready'; services: ProvidedService[]; isReused: boolean; supervisorPid: number }
  | { type: 'failed'; message: string }
  | { type: 'released' };

/** What a supervisor is told when it is started, as JSON in its first argument. */
export interface SupervisorOptions {
  /** Real path. */
  dataDir: string;
  /** The folder is removed at the end and nobody cares for its data. */
  throwaway: boolean;
}

export const encodeLine = (message: Request | Answer): string => `${JSON.stringify(message)}\n`;

/** Calls `onMessage` for each whole line; the text must come from the other end of our own connection. */
export function readLines<T>(stream: Readable, onMessage: (message: T) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) onMessage(JSON.parse(line) as T);
  });
}
