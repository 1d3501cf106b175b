import { createHash } from 'node:crypto';
import { v5 } from 'uuid';

/** Namespace of all demo ids. */
const NAMESPACE = '5c400124-0024-5024-8024-000000000024';

/** The id of a demo row that has a name of its own, for example `class:6-A`: the same in every database and at both scales. */
export const namedId = (name: string): string => v5(name, NAMESPACE);

/**
 * The id of a demo row that came into being at a time: shaped like the UUIDv7 that the API gives, so that demo rows and real
 * ones lie in one order, with its random bits taken from the row's name.
 *
 * @param createdAt ISO 8601 instant
 */
export function timedId(name: string, createdAt: string): string {
  const bytes = createHash('sha1').update(name).digest();
  bytes.writeUIntBE(Date.parse(createdAt), 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
