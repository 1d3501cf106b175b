import { exitOf, spawnNode } from '../lib/children.ts';

/** Plays a school morning against SCHOOLS24_URL, or against an own throwaway instance. */
export const demo = (args: string[]): Promise<number> => exitOf(spawnNode('scripts/demo/main.ts', args));
