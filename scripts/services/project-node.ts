import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const INSTALLED = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url));

/** The Node 24 that runs TypeScript from source, whichever Node runs this. */
export const projectNode = (): string => (existsSync(INSTALLED) ? INSTALLED : process.execPath);
