import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSigningKeys } from '../../../src/services/auth/signing-keys.ts';
import { createTestLog } from '../../support/harness.ts';

describe('signing keys', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = join(mkdtempSync(join(tmpdir(), 'schools24-keys-')), 'data');
  });
  afterEach(() => rmSync(join(dataDir, '..'), { recursive: true }));

  it('are the configured ones where there are any, and nothing is written', () => {
    const configured = [{ id: 'k1', secret: Buffer.alloc(32, 1) }];
    const log = createTestLog();
    expect(loadSigningKeys(configured, { dataDir, log })).toBe(configured);
    expect(log.lines).toEqual([]);
    expect(() => readdirSync(dataDir)).toThrow(/ENOENT/);
  });

  it('else one is made once, readable by its owner only, and a warning says so each time', () => {
    const log = createTestLog();
    const [first] = loadSigningKeys([], { dataDir, log });
    const [second] = loadSigningKeys([], { dataDir, log });
    expect(first!.secret).toHaveLength(32);
    expect(second).toEqual(first);
    expect(statSync(join(dataDir, 'signing-key')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dataDir)).toEqual(['signing-key']);
    expect(log.lines.map(({ level }) => level)).toEqual(['warn', 'warn']);
    expect(JSON.stringify(log.lines)).not.toContain(Buffer.from(first!.secret).toString('base64'));
  });

  it('processes that start at once share one', async () => {
    const module = new URL('../../../src/services/auth/signing-keys.ts', import.meta.url).href;
    const script = `import { loadSigningKeys } from '${module}';
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      console.log(Buffer.from(loadSigningKeys([], { dataDir: process.argv[1], log })[0].secret).toString('hex'));`;
    const run = promisify(execFile);
    const outputs = await Promise.all(
      Array.from({ length: 4 }, () => run(process.execPath, ['--input-type=module', '-e', script, dataDir])),
    );
    expect(new Set(outputs.map(({ stdout }) => stdout)).size).toBe(1);
    expect(outputs[0]!.stdout.trim()).toHaveLength(64);
  });
});
