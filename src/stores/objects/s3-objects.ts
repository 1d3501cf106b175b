import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import {
  attachment,
  type FileName,
  LINK_SECONDS,
  ObjectMissingError,
  type ObjectStore,
  ObjectTooLargeError,
  type SignedLink,
  type StoredObject,
  type UploadLink,
} from './object-store.ts';

export interface S3Settings {
  bucket: string;
  /** AWS' own unless given. */
  endpoint: string | undefined;
  region: string;
  /** The SDK's usual places unless given. */
  credentials: { accessKeyId: string; secretAccessKey: string } | undefined;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  isPathStyle: boolean;
}

type Sdk = typeof import('@aws-sdk/client-s3') & typeof import('@aws-sdk/s3-request-presigner');

const incoming = (key: string): string => `incoming/${key}`;
const objects = (key: string): string => `objects/${key}`;

/** Objects in an S3-compatible bucket; clients talk to it directly, by presigned requests. */
export class S3Objects implements ObjectStore {
  readonly bucket: string;
  readonly #settings: S3Settings;
  #open: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  constructor(settings: S3Settings) {
    this.bucket = settings.bucket;
    this.#settings = settings;
  }

  async uploadLink(key: string, { mime, sizeBytes }: { mime: string; sizeBytes: number }): Promise<UploadLink> {
    const { sdk, client } = await this.#sdk();
    const command = new sdk.PutObjectCommand({
      Bucket: this.bucket,
      Key: incoming(key),
      ContentType: mime,
      ContentLength: sizeBytes,
    });
    // Signed as headers, so that the bucket itself refuses another type or size.
    const signableHeaders = new Set(['host', 'content-type', 'content-length']);
    const expiresAt = expiryOf();
    const url = await sdk.getSignedUrl(client, command, { expiresIn: LINK_SECONDS, signableHeaders });
    return { url, expiresAt, method: 'PUT', headers: { 'Content-Type': mime } };
  }

  async downloadLink(key: string): Promise<SignedLink> {
    const { sdk, client } = await this.#sdk();
    const command = new sdk.GetObjectCommand({ Bucket: this.bucket, Key: objects(key) });
    const expiresAt = expiryOf();
    return { url: await sdk.getSignedUrl(client, command, { expiresIn: LINK_SECONDS }), expiresAt };
  }

  uploaded(key: string): Promise<StoredObject | undefined> {
    return this.#head(incoming(key));
  }

  accepted(key: string): Promise<StoredObject | undefined> {
    return this.#head(objects(key));
  }

  async uploadedHead(key: string, mostBytes: number): Promise<Buffer> {
    const { sdk, client } = await this.#sdk();
    const { Body } = await client.send(
      new sdk.GetObjectCommand({ Bucket: this.bucket, Key: incoming(key), Range: `bytes=0-${mostBytes - 1}` }),
    );
    return Buffer.from(await Body!.transformToByteArray());
  }

  async accept(key: string, tag: string, { fileName, mime }: FileName): Promise<boolean> {
    const { sdk, client } = await this.#sdk();
    try {
      await client.send(
        new sdk.CopyObjectCommand({
          Bucket: this.bucket,
          Key: objects(key),
          CopySource: `${this.bucket}/${incoming(key)}`,
          CopySourceIfMatch: tag,
          MetadataDirective: 'REPLACE',
          ContentType: mime,
          ContentDisposition: attachment(fileName),
        }),
      );
    } catch (error) {
      if (statusOf(error) === PRECONDITION_FAILED) return false;
      // Accepted by another request, which looked at it, too.
      if (statusOf(error) === NOT_FOUND) return (await this.accepted(key)) !== undefined;
      throw error;
    }
    await this.discard(key);
    return true;
  }

  discard(key: string): Promise<void> {
    return this.#delete(incoming(key));
  }

  async remove(key: string): Promise<void> {
    await this.discard(key);
    await this.#delete(objects(key));
  }

  async read(key: string, mostBytes: number): Promise<Buffer> {
    const found = await this.accepted(key);
    if (!found) throw new ObjectMissingError(key);
    if (found.sizeBytes > mostBytes) throw new ObjectTooLargeError(key);
    const { sdk, client } = await this.#sdk();
    const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket: this.bucket, Key: objects(key) }));
    return Buffer.from(await Body!.transformToByteArray());
  }

  async #delete(key: string): Promise<void> {
    const { sdk, client } = await this.#sdk();
    await client.send(new sdk.DeleteObjectCommand({ Bucket: this.bucket, Key: key }));
  }

  async #head(key: string): Promise<StoredObject | undefined> {
    const { sdk, client } = await this.#sdk();
    try {
      const { ContentLength, ETag } = await client.send(new sdk.HeadObjectCommand({ Bucket: this.bucket, Key: key }));
      return { sizeBytes: ContentLength ?? 0, tag: ETag ?? '' };
    } catch (error) {
      if (statusOf(error) === NOT_FOUND) return undefined;
      throw error;
    }
  }

  /** Loaded when it is first needed: most processes never touch a file. */
  #sdk(): Promise<{ sdk: Sdk; client: S3Client }> {
    this.#open ??= this.#load();
    return this.#open;
  }

  async #load(): Promise<{ sdk: Sdk; client: S3Client }> {
    const [s3, presigner] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/s3-request-presigner')]);
    const { endpoint, region, credentials, isPathStyle } = this.#settings;
    const client = new s3.S3Client({
      region,
      forcePathStyle: isPathStyle,
      // Checksums would be signed into upload links, and clients would have to send them.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      ...(endpoint ? { endpoint } : {}),
      ...(credentials ? { credentials } : {}),
    });
    return { sdk: { ...s3, ...presigner }, client };
  }
}

const NOT_FOUND = 404;
const PRECONDITION_FAILED = 412;
const statusOf = (error: unknown): number | undefined =>
  (error as Partial<S3ServiceException>).$metadata?.httpStatusCode;
/** By the machine's clock: the bucket judges by its own. */
const expiryOf = (): Date => new Date(Date.now() + LINK_SECONDS * 1000);
