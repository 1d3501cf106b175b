import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { findOnPath } from './find-on-path.ts';
import { downloadedMongod } from './mongod-download.ts';
import { pythonPackages } from './python-packages.ts';
import type { Command, ServerBinary, ServerIdentity, ServiceDefinition, StartPlace } from './types.ts';

const DATABASE = 'schools24';
const CONNECT_TIMEOUT_MS = 5_000;

export const mongoService: ServiceDefinition = {
  name: 'mongo',
  variable: 'MONGO_URL',
  preferredPort: 17_017,
  stop: { signal: 'SIGTERM', graceMs: 20_000, throwawaySignal: 'SIGKILL' },
  url: (port) => `mongodb://127.0.0.1:${port}/${DATABASE}?directConnection=true`,
  choose: async (log) => {
    const onPath = await findOnPath('mongod');
    if (onPath) return { file: onPath, product: 'mongod', source: 'path', origin: onPath };
    const downloaded = await downloadedMongod(log);
    if (downloaded) return { file: downloaded, product: 'mongod', source: 'package', origin: 'download of MongoDB' };
    const { python } = await pythonPackages(log);
    return {
      file: python,
      product: 'secantusdb',
      source: 'package',
      origin: "PyPI package secantusdb, MongoDB's protocol over WiredTiger",
    };
  },
  prepare: async (binary, { folder }) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (binary.product === 'secantusdb') await writeFile(settingsFile(folder), '');
  },
  command: async (binary, place) => (binary.product === 'mongod' ? mongod(binary, place) : secantusdb(binary, place)),
  probe: probeMongo,
};

const mongod = ({ file }: ServerBinary, { folder, port, extraArgs }: StartPlace): Command => ({
  file,
  args: ['--dbpath', folder, '--bind_ip', '127.0.0.1', '--port', String(port), ...extraArgs],
});

const secantusdb = ({ file }: ServerBinary, { folder, port, extraArgs }: StartPlace): Command => ({
  file,
  args: [
    '-m',
    'secantus',
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--storage-path',
    join(folder, 'data'),
    '--sync-on-commit',
    '--cache-size',
    '256M',
    '--log-level',
    'WARNING',
    '--config',
    settingsFile(folder),
    ...extraArgs,
  ],
});

/** An empty one of our own, since it would otherwise look for one in the home folder and in /etc. */
const settingsFile = (folder: string): string => join(folder, 'secantusd.toml');

/** @throws the driver's error while it does not answer */
export async function probeMongo(url: string): Promise<ServerIdentity> {
  const client = new MongoClient(url, {
    serverSelectionTimeoutMS: CONNECT_TIMEOUT_MS,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
  });
  try {
    const info = await client.db('admin').command({ buildInfo: 1 });
    const secantus: unknown = info.secantusVersion;
    return typeof secantus === 'string'
      ? { kind: 'SecantusDB', version: secantus }
      : { kind: 'MongoDB', version: String(info.version) };
  } finally {
    await client.close().catch(() => {});
  }
}
