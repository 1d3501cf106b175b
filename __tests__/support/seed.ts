/** Seed of a chaos test: CHAOS_SEED, or a new one; printed so that a failure can be repeated. */
export function chaosSeed(): number {
  const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  process.stderr.write(`CHAOS_SEED=${seed}\n`);
  return seed;
}
