import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { until } from './until.ts';

/** Where a school of this test file puts its mails. */
export function useMailFolder() {
  const dataDir = mkdtempSync(join(tmpdir(), 'schools24-mails-'));
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
  const folder = join(dataDir, 'mails');
  const all = (): string[] => {
    try {
      return readdirSync(folder)
        .filter((name) => name.endsWith('.eml'))
        .sort()
        .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('=\r\n', '').replaceAll('=3D', '='));
    } catch {
      return [];
    }
  };
  const to = (address: string): string[] => all().filter((mail) => mail.includes(`To: ${address}`));
  return {
    dataDir,
    folder,
    all,
    to,
    /** The token in the newest of so many mails to an address. */
    token: (address: string, count = 1): Promise<string> =>
      until(`mail ${count} to ${address}`, async () => {
        const mails = to(address);
        return mails.length >= count ? /#token=([\w-]+)/.exec(mails.at(-1)!)?.[1] : undefined;
      }),
  };
}
