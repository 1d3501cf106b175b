import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ChildSettings } from './engine-child.ts';
import type { Acknowledged } from './oracle.ts';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('./engine-child.ts', import.meta.url));

interface Line {
  ready?: true;
  acknowledged?: Acknowledged;
  refused?: string;
  log?: string;
  message?: string;
  batch?: { stored: number };
  struck?: string;
}

/** A process of its own with the engine in it: a worker, or a writer that reports each acknowledgement. */
export class EngineChild {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly #onLine: (line: Line) => void;
  #ready: Promise<void>;
  #read: Promise<void>;

  constructor(settings: ChildSettings, onAcknowledged: (write: Acknowledged) => void = () => {}) {
    this.#onLine = ({ acknowledged }) => {
      if (acknowledged) onAcknowledged(acknowledged);
    };
    this.child = spawn(process.execPath, [PROGRAM], {
      env: { ...process.env, ENGINE_CHILD: JSON.stringify(settings) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    this.child.stderr!.on('data', (data) => {
      errors += data;
    });
    const lines = createInterface({ input: this.child.stdout! });
    this.#ready = new Promise((resolve, reject) => {
      lines.on('line', (text) => {
        let line: Line;
        try {
          line = JSON.parse(text) as Line;
        } catch {
          return; // cut off by the kill: not said
        }
        if (line.ready) resolve();
        this.lines.push(line);
        this.#onLine(line);
      });
      this.child.once('exit', (code, signal) =>
        reject(new Error(`engine process ended early (${signal ?? code}): ${errors.slice(-2_000)}`)),
      );
    });
    this.#ready.catch(() => {});
    this.#read = once(lines, 'close').then(() => undefined);
  }

  /** Resolves when it works. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** Resolves when its fate has met it. */
  struck(): Promise<true> {
    return until('its fate', async () => (this.lines.some(({ struck }) => struck) ? true : undefined));
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** @returns when it has gone and all that it said has been read */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const gone = once(this.child, 'exit');
      this.child.kill(signal);
      await gone;
    }
    await this.#read;
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }

  kill = () => this.end('SIGKILL');
}
