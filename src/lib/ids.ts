import { createHash } from 'node:crypto';
import { v5, v7 } from 'uuid';

/** A new id: UUIDv7, made by the API, never by a database (DOMAIN §0). */
export const newId = (): string => v7();

/** Namespace of ids that follow from a natural key. */
const KEY_NAMESPACE = '5c400124-0024-5024-8024-0000000000e5';

/** The id of a row whose natural key is known before it is stored: the same for the same parts, everywhere. */
export const keyId = (entity: string, ...parts: (string | number)[]): string => v5([entity, ...parts].join(':'), KEY_NAMESPACE);

/**
 * A sequence of UUIDv7-shaped ids that is the same for the same seed and start: a repeated request makes the same rows.
 *
 * @param atMs instant of the first attempt
 */
export function idSequence(seed: string, atMs: number): () => string {
  let count = 0;
  return () => {
    const bytes = createHash('sha256').update(`${seed}:${count++}`).digest();
    bytes.writeUIntBE(atMs, 0, 6);
    bytes[6] = 0x70 | (bytes[6]! & 0x0f);
    bytes[8] = 0x80 | (bytes[8]! & 0x3f);
    const hex = bytes.toString('hex', 0, 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
