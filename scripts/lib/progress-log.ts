import type { ServiceLog } from '../services/types.ts';

const write = (message: string): void => {
  process.stderr.write(`${message}\n`);
};

/** For people who watch a command: plain lines on standard error, since standard output is for results. */
export const progressLog: ServiceLog = { info: write, warn: (message) => write(`warning: ${message}`) };
