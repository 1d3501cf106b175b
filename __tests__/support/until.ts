const POLL_MS = 5;

/**
 * Polls until there is an answer.
 *
 * @param what it waits for, for the error
 * @throws when the time is up
 */
export async function until<T>(what: string, look: () => Promise<T | undefined>, mostMs = 20_000): Promise<T> {
  const deadline = Date.now() + mostMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited ${mostMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
