#!/usr/bin/env node
// First step of every npm script, in plain Node 20 without packages: installs them when they are missing or stale, then hands
// over to the project's own Node, which runs TypeScript from source.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exclusiveAddress, listenExclusively, waitUntilReleased } from './lib/exclusive-socket.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stamp = join(modules, '.schools24-packages');
const node = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

const LEAST_NODE = 20;

const wantedStamp = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
const isFresh = () => existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wantedStamp();

function run(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: 'inherit', ...options });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

async function installPackages() {
  if (isFresh()) return;
  // Two first commands at once must not install into one folder together: the second waits, then finds the work done.
  const lock = createServer((socket) => socket.resume());
  const address = exclusiveAddress('packages', root);
  while (!(await listenExclusively(lock, address))) {
    console.error('packages: another command installs them, waiting for it');
    await waitUntilReleased(address);
    if (isFresh()) return;
  }
  try {
    if (isFresh()) return;
    console.error(
      existsSync(modules)
        ? 'packages: package-lock.json has changed, installing'
        : 'packages: first start here, installing (about a minute)',
    );
    const { code } = await run(
      process.platform === 'win32' ? 'npm.cmd' : 'npm',
      ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
      { shell: process.platform === 'win32' },
    );
    if (code !== 0 || !existsSync(node)) {
      console.error(
        'packages: npm ci failed; see its message above. Without a way to the npm registry the first start cannot install them.',
      );
      process.exit(code || 1);
    }
    writeFileSync(stamp, wantedStamp());
  } finally {
    lock.close();
  }
}

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  console.error(
    `Node ${process.versions.node} is too old: install Node ${LEAST_NODE} or newer from your package manager or nodejs.org`,
  );
  process.exit(1);
}
await installPackages();
const child = spawn(
  node,
  ['--disable-warning=ExperimentalWarning', join(root, 'scripts', 'main.ts'), ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // A terminal's Ctrl-C reaches the child by itself; the child decides when it is done.
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
child.once('exit', (code, signal) => {
  process.exitCode = signal ? 128 + 15 : (code ?? 1);
});
