/**
 * First step of every npm script: plain JavaScript without packages for any Node that npm may bring. Installs the packages
 * when they are missing or no longer the ones asked for, then runs `scripts/main.ts` with the project's own Node 24.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InstallError, installPackages } from './lib/install-packages.mjs';

const OLDEST_NODE = 20;
const root = fileURLToPath(new URL('..', import.meta.url));
const projectNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
const preload = new URL('./lib/die-with-parent.mjs', import.meta.url).href;

async function run() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new InstallError(
      `Node ${process.versions.node} is too old to start with: install Node ${OLDEST_NODE} or newer (the project then brings its own Node 24).`,
    );
  }
  await installPackages(root);
  // a platform without a packaged Node runs on the one at hand, when that is new enough to run TypeScript
  const node = existsSync(projectNode) ? projectNode : process.execPath;
  if (node === process.execPath && Number(process.versions.node.split('.')[0]) < 24) {
    throw new InstallError('The npm package "node" brought no Node for this machine: install Node 24 or newer.');
  }
  const child = spawn(node, ['--import', preload, `${root}scripts/main.ts`, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, SCHOOLS24_PARENT_PID: String(process.pid) },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${node} cannot be run: ${error.message}`));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGTERM' ? 15 : 9);
    // signal handlers would keep this process
    process.exit();
  });
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

run().catch((error) => fail(error instanceof InstallError ? error.message : error.stack));
