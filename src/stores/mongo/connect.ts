import { type Db, MongoClient } from 'mongodb';

export interface MongoOptions {
  /** `mongodb://host:port/database`; without a database it is `schools24`. */
  url: string;
  /** Connections at most; 50 unless told. */
  maxPoolSize?: number;
  /** How long an operation waits for a usable server before it fails; 5 s unless told. */
  serverSelectionTimeoutMs?: number;
}

export interface Mongo {
  client: MongoClient;
  db: Db;
}

const DATABASE = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/;

/**
 * The MongoDB client. It connects at the first operation, so a server that is down does not keep the process from starting.
 * A write is answered when most members have it in their journal (a single server: when it has): the buffer lets go of a
 * document on that answer.
 */
export function createMongo({ url, maxPoolSize = 50, serverSelectionTimeoutMs = 5_000 }: MongoOptions): Mongo {
  const client = new MongoClient(url, {
    appName: 'schools24',
    maxPoolSize,
    serverSelectionTimeoutMS: serverSelectionTimeoutMs,
    connectTimeoutMS: serverSelectionTimeoutMs,
    // A half-open connection must not hold an operation for ever.
    socketTimeoutMS: 60_000,
    writeConcern: { w: 'majority', journal: true },
    ignoreUndefined: true,
  });
  return { client, db: client.db(DATABASE.exec(url)?.[1] ?? 'schools24') };
}
