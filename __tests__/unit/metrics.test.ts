import { expect, it } from 'vitest';
import { Metrics } from '../../src/lib/metrics.ts';
import { cacheKind, createEngineMetrics } from '../../src/metrics.ts';

it.each([
  ['dashboard:student:0196-ab', 'dashboard:student'],
  ['dashboard:admin', 'dashboard:admin'],
  ['session:0196-ab', 'session'],
  ['row:homework_submission:0196', 'row:homework_submission'],
  ['attendance:marks:::2025', 'attendance:marks'],
])('the cache of %s is counted as %s', (name, kind) => {
  expect(cacheKind(name)).toBe(kind);
});

it('tells the hit rate of each kind of answer and of all', async () => {
  const metrics = new Metrics({ isEnabled: false, role: 'test' });
  const observed = createEngineMetrics(metrics);
  observed.watch({} as never);
  for (const isHit of [true, true, false, true]) observed.observeCache('dashboard:student:1', isHit);
  observed.observeCache('session:1', false);
  const gauge = await metrics.registry.getSingleMetric('redis_cache_hit_rate')!.get();
  expect(Object.fromEntries(gauge.values.map(({ labels, value }) => [labels.cache, value]))).toEqual({
    all: 0.6,
    'dashboard:student': 0.75,
    session: 0,
  });
});
