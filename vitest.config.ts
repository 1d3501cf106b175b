import { defineConfig } from 'vitest/config';

/** Generous: servers, imports and password hashes share two cores with everything else. */
const shared = { testTimeout: 30_000, hookTimeout: 60_000 };
const project = (name: string, more: { fileParallelism?: boolean; testTimeout?: number } = {}) => ({
  test: { ...shared, ...more, name, include: [`__tests__/${name}/**/*.test.ts`] },
});

export default defineConfig({
  test: {
    // the three servers, once for the whole run
    globalSetup: ['__tests__/support/services.ts'],
    maxWorkers: 2,
    projects: [
      project('unit'),
      project('property'),
      project('integration'),
      project('contract'),
      // these stop and kill what others would be using
      project('chaos', { fileParallelism: false, testTimeout: 300_000 }),
      project('cluster', { fileParallelism: false, testTimeout: 120_000 }),
    ],
  },
});
