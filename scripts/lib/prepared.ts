import { runSeed } from '../../seeds/run.ts';
import type { Scale } from '../../seeds/scale.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { type ProvidedServices, type ProvideOptions, provideServices } from '../services/provide-services.ts';

export const DEMO_PASSWORD = process.env.DEMO_PASSWORD ?? 'schools24-demo';

export interface PreparedOptions extends ProvideOptions {
  /** Leaves the databases without a demo school when null. */
  scale: Scale | null;
  /** School date the demo lies around; today unless told. */
  today?: string;
}

/** Servers that are there, migrated and seeded. */
export async function prepare({ scale, today, ...options }: PreparedOptions): Promise<ProvidedServices> {
  const services = await provideServices(options);
  try {
    const log = { ...options.log, debug: () => {}, error: options.log.warn };
    await migrate(services.urls.DATABASE_URL, log);
    if (scale) {
      await runSeed({
        databaseUrl: services.urls.DATABASE_URL,
        mongoUrl: services.urls.MONGO_URL,
        scale,
        ...(today ? { today } : {}),
        password: DEMO_PASSWORD,
        log: options.log,
      });
    }
    return services;
  } catch (error) {
    await services.stop();
    throw error;
  }
}
