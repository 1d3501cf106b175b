import { existsSync, readdirSync } from 'node:fs';
import { exitOf, spawnNode } from '../lib/children.ts';
import { consoleLog } from '../lib/console-log.ts';
import { prepare } from '../lib/prepared.ts';

/** Runs one benchmark on throwaway servers; `--json` prints its result as one object. */
export async function bench([name = '', ...args]: string[]): Promise<number> {
  const known = readdirSync('bench')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));
  if (!existsSync(`bench/${name}.ts`)) throw new Error(`say which: npm run bench -- ${known.join(' | ')} [--json]`);
  const services = await prepare({ throwaway: true, scale: 'small', today: '2025-09-10', log: consoleLog });
  try {
    return await exitOf(
      spawnNode(`bench/${name}.ts`, args, {
        env: { ...services.urls, NODE_ENV: 'test' },
        nodeArgs: ['--max-semi-space-size=32', '--expose-gc'],
      }),
    );
  } finally {
    await services.stop();
  }
}
