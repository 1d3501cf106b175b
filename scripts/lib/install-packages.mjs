import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { exclusiveAddress, listenExclusively, waitUntilReleased } from './exclusive-socket.mjs';

/** Says to a person what is wrong and what to do. */
export class InstallError extends Error {
  name = 'InstallError';
}

const NETWORK = /ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|network/;

/**
 * Runs `npm ci` unless the installed packages are the ones that package.json and package-lock.json ask for. Two starts at
 * once do not fight: the second waits for the first and then finds everything there.
 *
 * @param {string} root folder of package.json
 * @throws {InstallError}
 */
export async function installPackages(root) {
  if (isInstalled(root)) return;
  const address = exclusiveAddress('install', realpathSync(root));
  for (;;) {
    const lock = createServer((waiting) => waiting.on('error', () => {}));
    const waiting = [];
    lock.on('connection', (socket) => waiting.push(socket));
    if (await listenExclusively(lock, address)) {
      try {
        if (!isInstalled(root)) await install(root);
        return;
      } finally {
        for (const socket of waiting) socket.destroy();
        lock.close();
      }
    }
    process.stderr.write('Another start is installing the packages; waiting for it.\n');
    await waitUntilReleased(address);
  }
}

/**
 * A stamp says which lists the packages were installed from. Without a fitting one npm's own record of what lies in
 * node_modules decides, so that an `npm install` by hand is not done again.
 *
 * @param {string} root
 */
export function isInstalled(root) {
  const stamp = stampOf(root);
  const file = join(root, 'node_modules', '.schools24-stamp');
  if (read(file) === stamp) return true;
  if (!fitsLock(root)) return false;
  writeFileSync(file, stamp);
  return true;
}

function stampOf(root) {
  const { dependencies, devDependencies, optionalDependencies, overrides } = JSON.parse(
    read(join(root, 'package.json')),
  );
  const wanted = JSON.stringify({ dependencies, devDependencies, optionalDependencies, overrides });
  return createHash('sha256')
    .update(`${process.platform}-${process.arch}\n${wanted}\n${read(join(root, 'package-lock.json'))}`)
    .digest('hex');
}

function fitsLock(root) {
  const installed = parse(read(join(root, 'node_modules', '.package-lock.json')))?.packages;
  const lock = parse(read(join(root, 'package-lock.json')))?.packages;
  if (!installed || !lock || !existsSync(join(root, 'node_modules', 'node', 'bin'))) return false;
  const { dependencies = {}, devDependencies = {} } = JSON.parse(read(join(root, 'package.json')));
  const asked = lock[''] ?? {};
  // the lists themselves must agree, or the lock is older than package.json
  const isCurrent =
    sameEntries(asked.dependencies, dependencies) && sameEntries(asked.devDependencies, devDependencies);
  return (
    isCurrent &&
    Object.entries(lock).every(([path, wanted]) => {
      if (path === '') return true;
      const found = installed[path];
      // optional ones are for other machines
      return found ? found.version === wanted.version : Boolean(wanted.optional || wanted.devOptional || wanted.peer);
    })
  );
}

const sameEntries = (some = {}, others = {}) =>
  JSON.stringify(Object.entries(some).sort()) === JSON.stringify(Object.entries(others).sort());

async function install(root) {
  process.stderr.write('Installing the packages (npm ci); the first time takes about a minute …\n');
  const started = Date.now();
  // npm tells its scripts where it is; else the one on PATH
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, process.env.npm_execpath]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
  const args = [...npm.slice(1), 'ci', '--no-audit', '--no-fund', '--loglevel=error'];
  let errors = '';
  const code = await new Promise((resolve, reject) => {
    // production settings of the caller must not leave the tools out, and its standard output is for results
    const env = { ...process.env, NODE_ENV: 'development', npm_config_omit: '', npm_config_production: '' };
    const child = spawn(npm[0], args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
      shell: npm[0].endsWith('.cmd'),
    });
    child.stdout.pipe(process.stderr, { end: false });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
      process.stderr.write(chunk);
    });
    child.on('error', (error) => reject(new InstallError(`npm cannot be run (${error.message}): install npm.`)));
    child.on('exit', resolve);
  });
  if (code !== 0) {
    throw new InstallError(
      NETWORK.test(errors)
        ? 'The packages could not be fetched: the npm registry does not answer. Check the network, and the registry and proxy settings (npm config get registry), then try again.'
        : 'The packages could not be installed; npm says why above. After a repair run the same command again.',
    );
  }
  writeFileSync(join(root, 'node_modules', '.schools24-stamp'), stampOf(root));
  process.stderr.write(`Packages installed in ${Math.round((Date.now() - started) / 1_000)} s.\n`);
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
