import { StaleVersionError } from '../buffer/write-buffer.ts';

const MOST_TRIES = 5;

/**
 * Runs a read-change-write again when another write came between, unless the caller asked for a version: then the conflict
 * is its answer.
 */
export async function repeatUnlessAsked<T>(ifMatch: number | undefined, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StaleVersionError) || ifMatch !== undefined || tries >= MOST_TRIES) throw error;
    }
  }
}
