import cluster from 'node:cluster';
import { loadConfig } from './config/index.ts';
import { createContainer } from './container.ts';
import { startEngine } from './engine.ts';
import { WebServer } from './http/web-server.ts';
import { createLogger } from './lib/logger.ts';
import { serveMetrics } from './lib/metrics.ts';
import { startErrorReports } from './lib/sentry.ts';
import { Shutdown } from './lib/shutdown.ts';

async function main(): Promise<void> {
  const config = loadConfig();
  const reports = await startErrorReports(config.sentry.dsn, config.env);
  const log = createLogger({ level: config.log.level, role: 'web', reports });
  if (config.http.processes > 1 && cluster.isPrimary) {
    startProcesses(config.http.processes, log);
    return;
  }
  const shutdown = new Shutdown({ log });
  const { app, engine, metrics, streams, close } = createContainer({
    config,
    log,
    role: 'web',
    isStopping: () => shutdown.isRunning,
  });
  await startEngine(engine, log);
  const server = new WebServer(app);
  const metricsServer = config.metrics.isEnabled
    ? await serveMetrics(metrics, { host: config.http.host, port: config.metrics.port, log })
    : undefined;
  await server.listen(config.http.port, config.http.host);
  shutdown
    .add('streams', () => streams.stop())
    .add('http', () => server.stop())
    .add('metrics', () => metricsServer?.close())
    .add('engine and stores', close)
    .add('error reports', () => reports?.flush())
    .listen();
  log.info('listening', { host: config.http.host, port: config.http.port });
}

function startProcesses(count: number, log: ReturnType<typeof createLogger>): void {
  for (let index = 0; index < count; index++) cluster.fork();
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      isStopping = true;
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
    });
  }
  cluster.on('exit', (worker, code) => {
    if (isStopping) return;
    log.error('web process ended; starting another', { pid: worker.process.pid, code });
    cluster.fork();
  });
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
