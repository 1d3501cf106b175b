import { mongoService } from './mongo.ts';
import { postgresService } from './postgres.ts';
import { redisService } from './redis.ts';
import type { ServiceDefinition, ServiceName } from './types.ts';

export const SERVICES: Record<ServiceName, ServiceDefinition> = {
  postgres: postgresService,
  redis: redisService,
  mongo: mongoService,
};

export const SERVICE_NAMES = Object.keys(SERVICES) as ServiceName[];
