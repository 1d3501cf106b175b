import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVICE_NAMES, SERVICES } from './definitions.ts';
import { claimPort } from './ports.ts';
import { isAlive, stopProcess } from './processes.ts';
import { isOurs, type Records, readRecords, writeRecords } from './records.ts';
import type {
  ProvidedService,
  ServerBinary,
  ServerIdentity,
  ServiceDefinition,
  ServiceLog,
  ServiceName,
} from './types.ts';

const READY_WITHIN_MS = 60_000;
const POLL_MS = 25;
const START_ATTEMPTS = 4;
/** PostgreSQL's processes outlive a killed parent by a moment. */
const PATIENCE_MS = 200;
const LOG_LINES = 12;
const ADOPT_WITHIN_MS = 10_000;

export interface ServerSetOptions {
  dataDir: string;
  throwaway: boolean;
  log: ServiceLog;
}

/**
 * The servers of one data folder. Each is, when asked for: running already and known; or running since an earlier start
 * whose supervisor was killed, and adopted by its record; or started on its folder, which recovers whatever kill -9 left.
 */
export class ServerSet {
  readonly #options: ServerSetOptions;
  readonly #running = new Map<ServiceName, ProvidedService & { pid: number }>();
  readonly #pending = new Map<ServiceName, Promise<ProvidedService>>();
  #records: Records = {};
  #writing: Promise<void> = Promise.resolve();
  #opened: Promise<void> | undefined;
  #isStopping = false;

  constructor(options: ServerSetOptions) {
    this.#options = options;
  }

  /**
   * Starts what does not run.
   *
   * @throws Error that names the service and ends with the last lines of its log
   */
  ensure(name: ServiceName, extraArgs: readonly string[]): Promise<ProvidedService> {
    const pending = this.#pending.get(name);
    if (pending) return pending;
    const work = this.#open()
      .then(() => this.#ensure(SERVICES[name], extraArgs))
      .finally(() => this.#pending.delete(name));
    this.#pending.set(name, work);
    return work;
  }

  /** Stops all of them, also those that are only just starting. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#open();
    await Promise.allSettled(this.#pending.values());
    // servers of this folder that nobody asked for this time count too
    await Promise.all(
      SERVICE_NAMES.map(async (name) => {
        const record = this.#records[name];
        if (!record || !(await isOurs(record, this.#folder(name)))) return;
        const { signal, graceMs, throwawaySignal } = SERVICES[name].stop;
        await stopProcess(record.pid, this.#options.throwaway ? throwawaySignal : signal, graceMs);
      }),
    );
    this.#running.clear();
  }

  /** Whatever comes first waits for the records: without them a running server would be taken for none. */
  #open(): Promise<void> {
    this.#opened ??= (async () => {
      await mkdir(join(this.#options.dataDir, 'logs'), { recursive: true });
      this.#records = await readRecords(this.#options.dataDir);
    })();
    return this.#opened;
  }

  #folder(name: ServiceName): string {
    return join(this.#options.dataDir, name);
  }

  async #ensure(definition: ServiceDefinition, extraArgs: readonly string[]): Promise<ProvidedService> {
    const known = this.#running.get(definition.name);
    if (known && (await isAlive(known.pid))) return known;
    const service = (await this.#adopt(definition)) ?? (await this.#start(definition, extraArgs));
    this.#running.set(definition.name, service);
    return service;
  }

  async #adopt(definition: ServiceDefinition): Promise<(ProvidedService & { pid: number }) | undefined> {
    const { name } = definition;
    const record = this.#records[name];
    if (!record || !(await isOurs(record, this.#folder(name)))) return undefined;
    const url = definition.url(record.port);
    const identity = await this.#waitUntilReady(definition, url, () => !this.#isStopping, ADOPT_WITHIN_MS).catch(
      () => undefined,
    );
    if (!identity) {
      // alive but deaf: a new one could not take its folder while it holds it
      await stopProcess(record.pid, definition.stop.signal, definition.stop.graceMs);
      return undefined;
    }
    this.#tell(identity, definition, url, `${record.origin}, still running`);
    return { name, ...identity, url, source: record.source, pid: record.pid };
  }

  async #start(
    definition: ServiceDefinition,
    extraArgs: readonly string[],
  ): Promise<ProvidedService & { pid: number }> {
    const binary = await definition.choose(this.#options.log);
    const wanted = this.#options.throwaway ? 0 : (this.#records[definition.name]?.port ?? definition.preferredPort);
    let claim = await claimPort(wanted);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const service = await this.#startOn(definition, binary, claim.port, extraArgs);
        claim.release();
        return service;
      } catch (error) {
        const again =
          attempt < START_ATTEMPTS && !this.#isStopping && error instanceof ServerStartError && error.remedy;
        if (!again) {
          claim.release();
          throw error;
        }
        if (again === 'other-port') {
          claim.release();
          claim = await claimPort();
        } else await delay(PATIENCE_MS * attempt);
      }
    }
  }

  async #startOn(
    definition: ServiceDefinition,
    binary: ServerBinary,
    port: number,
    extraArgs: readonly string[],
  ): Promise<ProvidedService & { pid: number }> {
    const { name } = definition;
    const place = { folder: this.#folder(name), port, throwaway: this.#options.throwaway, extraArgs };
    await definition.prepare(binary, place);
    const { file, args, ...user } = await definition.command(binary, place);
    const logFile = join(this.#options.dataDir, 'logs', `${name}.log`);
    const output = await open(logFile, 'w');
    if (this.#isStopping) throw new Error('stopped while starting');
    let child: ChildProcess;
    try {
      child = spawn(file, args, { stdio: ['ignore', output.fd, output.fd], cwd: this.#options.dataDir, ...user });
      await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    } finally {
      await output.close();
    }
    const pid = child.pid!;
    let ended: string | undefined;
    child.once('exit', (code, signal) => {
      ended = signal ?? `code ${code}`;
      if (!this.#isStopping && this.#running.get(name)?.pid === pid) {
        this.#options.log.warn(`${name} ended (${ended}); see ${logFile}`);
      }
    });
    await this.#record(name, { pid, port, source: binary.source, origin: binary.origin });
    const url = definition.url(port);
    try {
      const identity = await this.#waitUntilReady(
        definition,
        url,
        () => ended === undefined && !this.#isStopping,
        READY_WITHIN_MS,
      );
      this.#tell(identity, definition, url, binary.origin);
      return { name, ...identity, url, source: binary.source, pid };
    } catch (error) {
      await stopProcess(pid, 'SIGKILL', 0);
      const tail = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-LOG_LINES).join('\n');
      throw new ServerStartError(
        `${name} did not start (${binary.origin}${ended ? `, ended with ${ended}` : ''}). Set ${definition.variable} to use a server that runs. Its log ends with:\n${tail}`,
        { cause: error },
      );
    }
  }

  async #waitUntilReady(
    definition: ServiceDefinition,
    url: string,
    isWorthWaiting: () => boolean,
    withinMs: number,
  ): Promise<ServerIdentity> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      try {
        return await definition.probe(url);
      } catch (error) {
        if (!isWorthWaiting() || Date.now() > deadline) throw error;
        await delay(POLL_MS);
      }
    }
  }

  #record(name: ServiceName, record: Records[ServiceName]): Promise<void> {
    this.#records = { ...this.#records, [name]: record };
    this.#writing = this.#writing.then(() => writeRecords(this.#options.dataDir, this.#records));
    return this.#writing;
  }

  #tell({ kind, version }: ServerIdentity, { name, variable }: ServiceDefinition, url: string, origin: string): void {
    this.#options.log.info(
      `${name}: ${kind} ${version} at ${new URL(url).host} (${origin}); set ${variable} to use another`,
    );
  }
}

/** Why another try may go better: somebody took the port, or a killed PostgreSQL's processes still hold its folder. */
const REMEDIES: readonly (readonly [RegExp, 'other-port' | 'wait'])[] = [
  [/address already in use|could not bind|port.* in use/i, 'other-port'],
  [/still in use|lock file|resource busy/i, 'wait'],
];

class ServerStartError extends Error {
  override name = 'ServerStartError';

  get remedy(): 'other-port' | 'wait' | undefined {
    return REMEDIES.find(([sign]) => sign.test(this.message))?.[1];
  }
}
