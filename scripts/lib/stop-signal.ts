/**
 * Resolves with the first SIGINT, SIGTERM or SIGHUP; later ones are ignored, since a terminal, npm and the bootstrap each
 * pass the same Ctrl-C on.
 */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal));
  });
}
