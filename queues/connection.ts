import type { Cluster, Redis, RedisOptions } from 'ioredis';

/** A connection as the queues take it: one server or a cluster. */
export type QueueConnection = Redis | Cluster;

/** Producers fail at once when Redis is away: the dirty index, not the job, is what a write relies on. */
export const producerOptions: RedisOptions = { enableOfflineQueue: false, maxRetriesPerRequest: 1 };

/** Workers wait for Redis as long as it takes. */
export const workerOptions: RedisOptions = { maxRetriesPerRequest: null };
