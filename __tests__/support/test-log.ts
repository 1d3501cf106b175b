import type { Log } from '../../src/lib/log.ts';

export interface TestLog extends Log {
  lines: { level: string; message: string; fields: object | undefined }[];
}

/** A log that keeps its lines for the test to look at. */
export function createTestLog(): TestLog {
  const lines: TestLog['lines'] = [];
  const add = (level: string) => (message: string, fields?: object) => void lines.push({ level, message, fields });
  return { lines, debug: add('debug'), info: add('info'), warn: add('warn'), error: add('error') };
}
