import { stopSignal } from '../lib/stop-signal.ts';
import { type Command, refuseUnknown } from './command.ts';
import { provide } from './provide.ts';

/**
 * Prints the servers in use. Those of a running `npm start` of the same DATA_DIR are only told; otherwise they are started
 * and kept until Ctrl-C.
 */
export const services: Command = async (args) => {
  refuseUnknown(args, ['--json']);
  const stop = stopSignal();
  const provided = await provide();
  const { urls, services: list, dataDir, isReused, supervisorPid } = provided;
  if (args.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ urls, services: list, dataDir, supervisorPid })}\n`);
  } else {
    const lines = Object.entries(urls).map(([variable, url]) => `${variable}=${url}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  const isOurs = !isReused && dataDir !== undefined;
  if (isOurs) {
    process.stderr.write('The servers run until Ctrl-C.\n');
    await stop;
  }
  await provided.stop();
  return 0;
};
