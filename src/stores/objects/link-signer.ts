import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** What a signed link allows; everything in it is signed. */
export interface Grant {
  method: 'PUT' | 'GET';
  key: string;
  expiresAt: Date;
  /** Further conditions by name: type and size of an upload, name and type of a download. */
  terms: Readonly<Record<string, string>>;
}

const KEY_BYTES = 32;

/** Signs links with a key of their own, drawn from the secrets that also sign tokens: the first signs, all verify. */
export class LinkSigner {
  readonly #keys: readonly Buffer[];
  readonly #path: string;

  /** @param path where the application serves objects, e.g. `/objects` */
  constructor(secrets: readonly Uint8Array[], path: string) {
    this.#keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'object links', KEY_BYTES)));
    this.#path = path;
  }

  /** @returns a path with its query, below the application's own address */
  sign(grant: Grant): string {
    const query = new URLSearchParams({
      ...grant.terms,
      expires: String(Math.floor(grant.expiresAt.getTime() / 1000)),
      signature: macOf(grant, this.#keys[0]!).toString('base64url'),
    });
    return `${this.#path}/${grant.key}?${query}`;
  }

  /** @returns undefined unless the link is one of ours, whole and unchanged; expiry is the caller's to judge */
  verify(method: Grant['method'], key: string, query: URLSearchParams): Grant | undefined {
    const { expires = '', signature = '', ...terms } = Object.fromEntries(query);
    if (!/^\d{1,12}$/.test(expires)) return undefined;
    const grant: Grant = { method, key, expiresAt: new Date(Number(expires) * 1000), terms };
    const given = Buffer.from(signature, 'base64url');
    const isOurs = this.#keys.some((secret) => {
      const mac = macOf(grant, secret);
      return mac.length === given.length && timingSafeEqual(mac, given);
    });
    return isOurs ? grant : undefined;
  }
}

function macOf({ method, key, expiresAt, terms }: Grant, secret: Buffer): Buffer {
  const sorted = Object.entries(terms).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([method, key, Math.floor(expiresAt.getTime() / 1000), sorted]);
  return createHmac('sha256', secret).update(text).digest();
}
