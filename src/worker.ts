import { PressureRelief } from '../processors/pressure-relief.ts';
import { requestSync, scheduleSyncs } from '../queues/request-sync.ts';
import { loadConfig } from './config/index.ts';
import { createContainer } from './container.ts';
import { startEngine } from './engine.ts';
import { startEventWorkers } from './event-workers.ts';
import { createLogger } from './lib/logger.ts';
import { serveMetrics } from './lib/metrics.ts';
import { startErrorReports } from './lib/sentry.ts';
import { Shutdown } from './lib/shutdown.ts';
import { ensureIndexes } from './stores/mongo/indexes.ts';
import { startSyncWorkers } from './sync-workers.ts';
import { declareTasks, startTaskWorker } from './task-workers.ts';

/** A worker beside a web process on one host serves its metrics one port further. */
const METRICS_PORT_STEP = 1;
const SHUTDOWN_SYNC_MS = 15_000;

async function main(): Promise<void> {
  const config = loadConfig();
  const reports = await startErrorReports(config.sentry.dsn, config.env);
  const log = createLogger({ level: config.log.level, role: 'worker', reports });
  const shutdown = new Shutdown({ log });
  const container = createContainer({ config, log, role: 'worker', isStopping: () => shutdown.isRunning });
  const { engine, metrics } = container;
  await startEngine(engine, log);
  await ensureIndexes(container.db).then(
    (report) => log.info('mongo indexes', { report }),
    (error: Error) => log.warn('mongo indexes are not made; the next start tries again', { error: error.message }),
  );
  const workers = config.sync.isEnabled ? await startSyncWorkers(container, config, log) : [];
  const events = config.sync.isEnabled
    ? await startEventWorkers(engine, { ...container, services: config.http.services, log })
    : undefined;
  const taskWorker = config.sync.isEnabled ? await startTaskWorker(container, log) : undefined;
  const relief = new PressureRelief({
    ...engine,
    requestSync: () => requestSync(engine.queues, 'memory'),
    log,
    batchSize: config.sync.batchRows,
  });
  if (config.sync.isEnabled) relief.start();
  if (config.sync.isEnabled) await scheduleSyncs(engine.queues, config.sync.intervalMs / 1000);
  const declared = taskWorker
    ? await declareTasks(container, { services: config.http.services, timezone: container.schoolTimezone, log })
    : undefined;
  const metricsServer = config.metrics.isEnabled
    ? await serveMetrics(metrics, { host: config.http.host, port: config.metrics.port + METRICS_PORT_STEP, log })
    : undefined;
  if (config.sync.isOnShutdown) {
    shutdown.add('last sync', async () => {
      const id = await requestSync(engine.queues, 'shutdown');
      const deadlineMs = Date.now() + SHUTDOWN_SYNC_MS;
      while (Date.now() < deadlineMs && (await engine.runs.isUnfinished(id)))
        await new Promise((resolve) => setTimeout(resolve, 50));
    });
  }
  shutdown
    .add('running batches', () =>
      Promise.all([
        relief.stop(),
        events?.close(),
        declared?.stop(),
        taskWorker?.close(),
        ...workers.map((worker) => worker.close()),
      ]),
    )
    .add('metrics', () => metricsServer?.close())
    .add('queues and stores', () => container.close())
    .add('error reports', () => reports?.flush())
    .listen();
  log.info('working', {
    isEnabled: config.sync.isEnabled,
    intervalSeconds: config.sync.intervalMs / 1000,
    parallelBatches: config.sync.parallelBatches,
  });
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
