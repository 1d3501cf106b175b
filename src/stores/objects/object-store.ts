/** A request that a client sends by itself, without a token, to put or get one object. */
export interface SignedLink {
  url: string;
  expiresAt: Date;
}

export interface UploadLink extends SignedLink {
  method: 'PUT';
  /** Must be sent as they are. */
  headers: Readonly<Record<string, string>>;
}

/** What lies under a key. */
export interface StoredObject {
  sizeBytes: number;
  /** Another one for every content. */
  tag: string;
}

/** How browsers are told to take a download. */
export interface FileName {
  fileName: string;
  mime: string;
}

/** Links live so long (DOMAIN §4.1). */
export const LINK_SECONDS = 600;

/**
 * Files' contents, by key. A client uploads to a place of its own first; `accept` moves what was checked there to where it is
 * read, so that an upload link that is still good cannot change a file that was found fit.
 */
export interface ObjectStore {
  readonly bucket: string;
  /** A link that takes exactly this type and size. @param now of the caller's clock */
  uploadLink(key: string, content: { mime: string; sizeBytes: number }, now: Date): Promise<UploadLink>;
  /** What was uploaded and not accepted; undefined when nothing was. */
  uploaded(key: string): Promise<StoredObject | undefined>;
  /** The first bytes of what was uploaded. */
  uploadedHead(key: string, mostBytes: number): Promise<Buffer>;
  /** Moves an upload to where it is read; what is there already stays. @returns false when it is not what the tag names any more */
  accept(key: string, tag: string, as: FileName): Promise<boolean>;
  /** Removes an upload that is not fit; nothing happens without one. */
  discard(key: string): Promise<void>;
  /** Removes what was uploaded and what was accepted; nothing happens where there is nothing. */
  remove(key: string): Promise<void>;
  /** What was accepted; undefined when nothing was. */
  accepted(key: string): Promise<StoredObject | undefined>;
  downloadLink(key: string, as: FileName, now: Date): Promise<SignedLink>;
  /** A whole accepted object. @throws ObjectTooLargeError above `mostBytes`, ObjectMissingError */
  read(key: string, mostBytes: number): Promise<Buffer>;
}

export class ObjectMissingError extends Error {
  override name = 'ObjectMissingError';
}

export class ObjectTooLargeError extends Error {
  override name = 'ObjectTooLargeError';
}

/** Header that makes browsers save a file under its name instead of showing it (RFC 6266). */
export function attachment(fileName: string): string {
  const plain = fileName.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(fileName).replace(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
