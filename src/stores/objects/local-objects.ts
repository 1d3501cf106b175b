import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { LinkSigner } from './link-signer.ts';
import {
  type FileName,
  LINK_SECONDS,
  ObjectMissingError,
  type ObjectStore,
  ObjectTooLargeError,
  type SignedLink,
  type StoredObject,
  type UploadLink,
} from './object-store.ts';

/** More or fewer bytes came than the link allows. */
export class UploadSizeError extends Error {
  override name = 'UploadSizeError';
}

/** Keys are made by us; the check keeps a mistake from becoming a path. */
const KEY = /^[a-z0-9-]+(\/[a-z0-9-]+)*$/;

type Place = 'incoming' | 'objects';

/** Objects in a folder of this machine, behind links that the application itself serves. For one host. */
export class LocalObjects implements ObjectStore {
  readonly bucket = 'local';
  readonly #folder: string;
  readonly #links: LinkSigner;

  constructor({ folder, links }: { folder: string; links: LinkSigner }) {
    this.#folder = folder;
    this.#links = links;
  }

  async uploadLink(
    key: string,
    { mime, sizeBytes }: { mime: string; sizeBytes: number },
    now: Date,
  ): Promise<UploadLink> {
    const expiresAt = expiryOf(now);
    const url = this.#links.sign({ method: 'PUT', key, expiresAt, terms: { type: mime, size: String(sizeBytes) } });
    return { url, expiresAt, method: 'PUT', headers: { 'Content-Type': mime } };
  }

  async downloadLink(key: string, { fileName, mime }: FileName, now: Date): Promise<SignedLink> {
    const expiresAt = expiryOf(now);
    return {
      url: this.#links.sign({ method: 'GET', key, expiresAt, terms: { name: fileName, type: mime } }),
      expiresAt,
    };
  }

  uploaded(key: string): Promise<StoredObject | undefined> {
    return describe(this.#path('incoming', key));
  }

  accepted(key: string): Promise<StoredObject | undefined> {
    return describe(this.#path('objects', key));
  }

  async uploadedHead(key: string, mostBytes: number): Promise<Buffer> {
    const file = await open(this.#path('incoming', key));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async accept(key: string, tag: string): Promise<boolean> {
    const target = this.#path('objects', key);
    const taken = `${target}.${randomUUID()}`;
    await mkdir(dirname(target), { recursive: true });
    // Out of the reach of uploads first, then looked at: what is accepted is what was checked.
    try {
      await rename(this.#path('incoming', key), taken);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return (await this.accepted(key)) !== undefined; // by another request, which looked at it, too
    }
    if ((await describe(taken))?.tag === tag) {
      await rename(taken, target);
      return true;
    }
    await rm(taken, { force: true });
    return false;
  }

  discard(key: string): Promise<void> {
    return rm(this.#path('incoming', key), { force: true });
  }

  async remove(key: string): Promise<void> {
    await this.discard(key);
    await rm(this.#path('objects', key), { force: true });
  }

  async read(key: string, mostBytes: number): Promise<Buffer> {
    const path = this.#path('objects', key);
    const found = await describe(path);
    if (!found) throw new ObjectMissingError(key);
    if (found.sizeBytes > mostBytes) throw new ObjectTooLargeError(key);
    return readFile(path);
  }

  /** @returns undefined when there is none */
  async stream(key: string): Promise<{ content: Readable; sizeBytes: number } | undefined> {
    const path = this.#path('objects', key);
    const found = await describe(path);
    return found && { content: createReadStream(path), sizeBytes: found.sizeBytes };
  }

  /**
   * Takes an upload; a part of one is never seen.
   *
   * @throws UploadSizeError when it is not of this size; it is not read further than that
   */
  async receive(key: string, content: Readable, sizeBytes: number): Promise<void> {
    const target = this.#path('incoming', key);
    const part = `${target}.${randomUUID()}`;
    await mkdir(dirname(target), { recursive: true });
    let received = 0;
    try {
      await pipeline(
        content,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            received += chunk.length;
            if (received > sizeBytes) throw new UploadSizeError(`more than ${sizeBytes} bytes`);
            yield chunk;
          }
        },
        createWriteStream(part, { flags: 'wx' }),
      );
      if (received < sizeBytes) throw new UploadSizeError(`${received} of ${sizeBytes} bytes`);
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  #path(place: Place, key: string): string {
    if (!KEY.test(key)) throw new ObjectMissingError(key);
    return join(this.#folder, place, key);
  }
}

const expiryOf = (now: Date): Date => new Date(now.getTime() + LINK_SECONDS * 1000);

async function describe(path: string): Promise<StoredObject | undefined> {
  try {
    const { size, ino, mtimeMs } = await stat(path);
    return { sizeBytes: size, tag: `${ino}-${mtimeMs}-${size}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
