import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createObjectLinks, OBJECTS_PATH } from '../../src/http/object-links.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { LinkSigner } from '../../src/stores/objects/link-signer.ts';
import { LocalObjects } from '../../src/stores/objects/local-objects.ts';
import type { ObjectStore } from '../../src/stores/objects/object-store.ts';
import { S3Objects } from '../../src/stores/objects/s3-objects.ts';
import { createTestLog } from './test-log.ts';

export interface OpenStore {
  store: ObjectStore;
  /** Makes a link's address whole. */
  addressOf(url: string): string;
  close(): Promise<void>;
}

/** The local folder behind the application's own links. */
export async function openLocalStore(
  clock: Clock,
): Promise<OpenStore & { folder: string; files(): Promise<string[]> }> {
  const folder = await mkdtemp(join(tmpdir(), 'schools24-objects-'));
  const links = new LinkSigner([Buffer.alloc(32, 9)], OBJECTS_PATH);
  const store = new LocalObjects({ folder, links });
  const server = createServer(createObjectLinks({ objects: store, links, clock, log: createTestLog() }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    store,
    folder,
    files: async () =>
      (await readdir(folder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
    addressOf: (url) => `http://127.0.0.1:${port}${url}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

interface S3Server {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}
type S3ServerClass = new (options: object) => S3Server;

/** A bucket on a small S3 server, which checks signatures as S3 does. */
export async function openS3Store(): Promise<OpenStore> {
  // The cast: the package has no types.
  const Server = createRequire(import.meta.url)('@20minutes/s3rver') as S3ServerClass;
  const directory = await mkdtemp(join(tmpdir(), 'schools24-s3-'));
  const server = new Server({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: 'schools24' }],
  });
  const { port } = await server.run();
  const store = new S3Objects({
    bucket: 'schools24',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    isPathStyle: true,
  });
  return {
    store,
    addressOf: (url) => url,
    async close() {
      await server.close();
      await rm(directory, { recursive: true });
    },
  };
}
