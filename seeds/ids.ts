import { createHash } from 'node:crypto';

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
