import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { listen } from './listen.ts';
import type { Log } from './log.ts';

/** What one kind of metric is called and what it says; the unit stands in the name. */
export interface MetricOptions<L extends string> {
  name: string;
  help: string;
  labels?: readonly L[];
  /** Histograms only: upper bounds. */
  buckets?: readonly number[];
}

/** The metrics of one process. Several may live in one process, as tests need it. */
export class Metrics {
  readonly registry = new Registry();
  /** Whether anybody reads them; those who feed costly ones ask first. */
  readonly isEnabled: boolean;

  constructor({ isEnabled, role }: { isEnabled: boolean; role: string }) {
    this.isEnabled = isEnabled;
    this.registry.setDefaultLabels({ role });
    // Event loop lag, garbage collection, memory: Node's own.
    if (isEnabled) collectDefaultMetrics({ register: this.registry });
  }

  counter<L extends string = never>({ name, help, labels = [] }: MetricOptions<L>): Counter<L> {
    return new Counter({ name, help, labelNames: labels, registers: [this.registry] });
  }

  /** @param collect called at each scrape, to set what is measured only when somebody looks */
  gauge<L extends string = never>(
    { name, help, labels = [] }: MetricOptions<L>,
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    return new Gauge<L>({
      name,
      help,
      labelNames: labels,
      registers: [this.registry],
      ...(collect
        ? {
            collect() {
              return collect(this);
            },
          }
        : {}),
    });
  }

  histogram<L extends string = never>({ name, help, labels = [], buckets }: MetricOptions<L>): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: labels,
      registers: [this.registry],
      ...(buckets ? { buckets: [...buckets] } : {}),
    });
  }
}

/** Serves `/metrics` on a port of its own, apart from the API; resolves when it listens. */
export async function serveMetrics(
  metrics: Metrics,
  { host, port, log }: { host: string; port: number; log: Log },
): Promise<Server> {
  const server = createServer(async (req, res) => {
    if (req.method !== 'GET' || req.url !== '/metrics') {
      res.writeHead(404).end();
      return;
    }
    try {
      const text = await metrics.registry.metrics();
      res.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text);
    } catch (error) {
      log.warn('metrics', { error });
      res.writeHead(500).end();
    }
  });
  await listen(server, port, host, 'PROMETHEUS_PORT');
  return server;
}
