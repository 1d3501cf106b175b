import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Address of a local socket that one process at a time can listen on: a lock that the kernel lets go of when its holder
 * dies, however it dies. Linux has names without a file, Windows has pipes; elsewhere it is a file whose stale copy is removed.
 *
 * @param {string} purpose what the lock is for, in a word
 * @param {string} key what it protects, for example the real path of a folder
 * @returns {string}
 */
export function exclusiveAddress(purpose, key) {
  const user = process.getuid?.() ?? '';
  const digest = createHash('sha256').update(`${purpose}\0${key}`).digest('hex').slice(0, 24);
  const name = `schools24-${user}-${purpose}-${digest}`;
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

/**
 * Takes the lock by listening.
 *
 * @param {import('node:net').Server} server
 * @param {string} address from `exclusiveAddress`
 * @returns {Promise<boolean>} false when another process holds it
 */
export async function listenExclusively(server, address) {
  for (let attempt = 0; ; attempt += 1) {
    const error = await new Promise((resolve) => {
      const onError = (/** @type {NodeJS.ErrnoException} */ reason) => resolve(reason);
      server.once('error', onError);
      server.listen(address, () => {
        server.off('error', onError);
        resolve(undefined);
      });
    });
    if (error === undefined) return true;
    if (error.code !== 'EADDRINUSE') throw error;
    const isFile = !address.startsWith('\0') && process.platform !== 'win32';
    if (!isFile || attempt > 0 || (await isAnswered(address))) return false;
    unlinkSync(address);
  }
}

/**
 * Resolves when whoever listens there has gone, at once when nobody does.
 *
 * @param {string} address
 * @returns {Promise<void>}
 */
export function waitUntilReleased(address) {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
}

/** @param {string} address */
function isAnswered(address) {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
