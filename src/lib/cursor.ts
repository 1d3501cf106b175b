import { ValidationError } from '../errors/catalogue.ts';
import { isoInstant } from './joi.ts';

/** Where the next page starts, as clients see it: opaque, safe in a URL. */
export const encodeCursor = (position: { value: unknown; id: string }): string =>
  Buffer.from(JSON.stringify([position.value, position.id])).toString('base64url');

export const notOfThisList = (): Error =>
  new ValidationError({ errors: [{ pointer: '/query/cursor', detail: 'is not a cursor of this list' }] });

/** @throws ValidationError when it is none of ours */
export function decodeCursor(cursor: string | undefined): { value: unknown; id: string } | undefined {
  if (cursor === undefined) return undefined;
  try {
    const [value, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [unknown, unknown];
    if (
      typeof id === 'string' &&
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) &&
      (typeof value === 'number' || (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')))
    )
      return { value, id };
  } catch {
    // told below
  }
  throw notOfThisList();
}

/** The same for a list that is sorted by an instant. @throws ValidationError, for the cursors of other lists as well */
export function decodeInstantCursor(cursor: string | undefined): { value: string; id: string } | undefined {
  const position = decodeCursor(cursor);
  if (!position) return undefined;
  const { value, error } = isoInstant.validate(position.value);
  if (error) throw notOfThisList();
  return { value, id: position.id };
}
