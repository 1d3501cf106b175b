import type { TestProject } from 'vitest/node';
import { provideServices } from '../../scripts/services/provide-services.ts';
import type { UrlVariable } from '../../scripts/services/types.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of the run's three servers: `inject('urls')`. */
    urls: Record<UrlVariable, string>;
  }
}

const write = (message: string): void => {
  process.stderr.write(`${message}\n`);
};

/**
 * One PostgreSQL, one Redis and one MongoDB for the whole run, on free ports in a temporary folder. Test files find their
 * addresses in the environment and by `inject('urls')`, and keep apart by databases and prefixes of their own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const services = await provideServices({ throwaway: true, log: { info: write, warn: write } });
  Object.assign(process.env, services.urls);
  project.provide('urls', services.urls);
  return () => services.stop();
}
