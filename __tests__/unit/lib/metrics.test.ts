import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Metrics, serveMetrics } from '../../../src/lib/metrics.ts';
import { createTestLog } from '../../support/harness.ts';

describe('metrics', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  const serve = async (metrics: Metrics) => {
    server = await serveMetrics(metrics, { host: '127.0.0.1', port: 0, log: createTestLog() });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('are served in Prometheus’ own form, with the role of the process', async () => {
    const metrics = new Metrics({ isEnabled: true, role: 'web' });
    metrics.counter({ name: 'writes_total', help: 'Writes', labels: ['entity'] }).inc({ entity: 'homework' }, 3);
    const response = await fetch(`${await serve(metrics)}/metrics`);
    expect(response.headers.get('content-type')).toMatch('text/plain');
    const text = await response.text();
    expect(text).toContain('writes_total{entity="homework",role="web"} 3');
    expect(text).toContain('nodejs_eventloop_lag');
  });

  it('ask for what is measured only when somebody looks', async () => {
    const metrics = new Metrics({ isEnabled: false, role: 'worker' });
    let asked = 0;
    metrics.gauge({ name: 'oldest_seconds', help: 'Age' }, (gauge) => gauge.set(++asked));
    const url = await serve(metrics);
    expect(asked).toBe(0);
    await fetch(`${url}/metrics`);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('oldest_seconds{role="worker"} 2');
  });

  it('answer nothing else, and 500 when a measurement fails', async () => {
    const metrics = new Metrics({ isEnabled: false, role: 'web' });
    metrics.gauge({ name: 'broken', help: 'Broken' }, () => {
      throw new Error('no Redis');
    });
    const url = await serve(metrics);
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`)).status).toBe(500);
  });
});
