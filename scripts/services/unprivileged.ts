import { readFile } from 'node:fs/promises';
import { findOnPath } from './find-on-path.ts';
import { runProgram } from './processes.ts';
import type { Command } from './types.ts';

/** How to run a program that refuses root. */
export interface Disguise {
  /** Files keep their owner: the program only thinks that it is another user. */
  keepsOwner: boolean;
  wrap(file: string, args: readonly string[]): Command;
  uid?: number;
  gid?: number;
}

/**
 * PostgreSQL refuses to run as root. In a user namespace of its own it is another user while its files stay root's, so
 * nothing is given away and a clone below a private home folder works. Where namespaces are forbidden (many containers)
 * it becomes a real other user, who then needs the files.
 */
export async function unprivileged(): Promise<Disguise> {
  const plain: Disguise = { keepsOwner: true, wrap: (file, args) => ({ file, args: [...args] }) };
  if (process.getuid?.() !== 0) return plain;
  const user = await anyOtherUser();
  const unshare = await findOnPath('unshare');
  if (unshare) {
    const prefix = ['--user', `--map-user=${user.uid}`, `--map-group=${user.gid}`];
    try {
      await runProgram(unshare, [...prefix, 'true']);
      return { keepsOwner: true, wrap: (file, args) => ({ file: unshare, args: [...prefix, file, ...args] }) };
    } catch {
      // not allowed here
    }
  }
  return { keepsOwner: false, ...user, wrap: (file, args) => ({ file, args: [...args], ...user }) };
}

/** initdb looks its user up by number, so it must be one that the machine knows. */
async function anyOtherUser(): Promise<{ uid: number; gid: number }> {
  const users = (await readFile('/etc/passwd', 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);
  const found =
    users.find(({ name }) => name === 'postgres') ?? users.find(({ name }) => name === 'nobody') ?? users[0];
  return found ? { uid: found.uid, gid: found.gid } : { uid: 1000, gid: 1000 };
}
