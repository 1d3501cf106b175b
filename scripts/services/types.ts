import type { Log } from '../../src/lib/log.ts';

export type ServiceName = 'postgres' | 'redis' | 'mongo';
export type UrlVariable = 'DATABASE_URL' | 'REDIS_URL' | 'MONGO_URL';
export type ServiceLog = Pick<Log, 'info' | 'warn'>;

/** What a server says it is. */
export interface ServerIdentity {
  /** `PostgreSQL`, `Redis`, `MongoDB`, `SecantusDB` … */
  kind: string;
  version: string;
}

/** Where a server comes from: a URL variable, a server on PATH, or a package (npm, PyPI, download). */
export type ServiceSource = 'environment' | 'path' | 'package';

/** One server in use. */
export interface ProvidedService extends ServerIdentity {
  name: ServiceName;
  url: string;
  source: ServiceSource;
  /** Its process, where we run it. */
  pid?: number;
}

/** A program that can serve. */
export interface ServerBinary {
  file: string;
  /** Which set of arguments it understands. */
  product: 'postgres' | 'redis' | 'mongod' | 'secantusdb';
  source: Exclude<ServiceSource, 'environment'>;
  /** For people: where it was found. */
  origin: string;
}

/** What to run, and as whom. */
export interface Command {
  file: string;
  args: string[];
  /** Set where the server refuses to run as root and no user namespace can be had. */
  uid?: number;
  gid?: number;
}

export interface StartPlace {
  /** The server's own folder below DATA_DIR. */
  folder: string;
  port: number;
  throwaway: boolean;
  /** Added behind our own arguments, so they win. */
  extraArgs: readonly string[];
}

/** Everything the supervisor must know about one kind of server. */
export interface ServiceDefinition {
  name: ServiceName;
  variable: UrlVariable;
  /** Taken when free, so that addresses stay the same from start to start. */
  preferredPort: number;
  /** Finds or fetches a program; says in an error what to install or set when none can be had. */
  choose(log: ServiceLog): Promise<ServerBinary>;
  /** Makes the folder ready for a start; run again on every start. */
  prepare(binary: ServerBinary, place: StartPlace): Promise<void>;
  command(binary: ServerBinary, place: StartPlace): Promise<Command>;
  url(port: number): string;
  /** Connects and asks; throws while the server is not ready for work. */
  probe(url: string): Promise<ServerIdentity>;
  /** Signal and patience for a stop that writes everything, and the signal of one whose data nobody wants. */
  stop: { signal: NodeJS.Signals; graceMs: number; throwawaySignal: NodeJS.Signals };
}
