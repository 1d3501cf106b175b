import { randomInt } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { dictionary } from '@zxcvbn-ts/language-common';
import { WeakPasswordError } from '../../errors/catalogue.ts';
import { newId } from '../../lib/ids.ts';

export const FEWEST_PASSWORD_CHARACTERS = 10;
export const MOST_PASSWORD_CHARACTERS = 128;

/** Spellings that differ in case, or in how a letter is put together, are one password to who guesses. */
const fold = (text: string): string => text.normalize('NFKC').toLowerCase();

/** The passwords found most often in leaks, as collected by zxcvbn; shorter ones are refused by their length. */
const DENIED: ReadonlySet<string> = new Set(
  dictionary['passwords-common'].map(fold).filter((password) => [...password].length >= FEWEST_PASSWORD_CHARACTERS),
);

/** Letters and digits that nobody mistakes for another. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUPS = 3;
const GROUP_LENGTH = 4;

/**
 * A1: at least ten characters, not the login, not a common one; case does not count.
 *
 * @param pointer place of the password in the request
 * @throws WeakPasswordError saying which rule it breaks
 */
export function requireStrong(password: string, login: string, pointer: string): void {
  const refuse = (detail: string): never => {
    throw new WeakPasswordError({ errors: [{ pointer, detail }] });
  };
  const folded = fold(password);
  if ([...password].length < FEWEST_PASSWORD_CHARACTERS)
    refuse(`must have at least ${FEWEST_PASSWORD_CHARACTERS} characters`);
  if (folded === fold(login)) refuse('must not be the login');
  if (DENIED.has(folded)) refuse('is one of the most used passwords');
}

/** A1: argon2id, the package's default, with its parameters, which are OWASP's. */
export const hashPassword = (password: string): Promise<string> => hash(password);

const decoy = hashPassword(newId());

/** Takes as long for an account without a password as for one with (A2). */
export async function isPassword(passwordHash: string | null | undefined, password: string): Promise<boolean> {
  const isRight = await verify(passwordHash ?? (await decoy), password).catch(() => false);
  return Boolean(passwordHash) && isRight;
}

/** A password that somebody reads out or writes on paper, and that its owner replaces. */
export const newTemporaryPassword = (): string =>
  Array.from({ length: GROUPS }, () =>
    Array.from({ length: GROUP_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join(''),
  ).join('-');
