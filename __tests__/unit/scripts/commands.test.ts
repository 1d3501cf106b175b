import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectFile, runScript } from '../../support/run-script.ts';

const main = (...args: string[]) => runScript(process.execPath, [projectFile('scripts/main.ts'), ...args]);

describe('commands', () => {
  it.each([['nope'], ['constructor']])('tells which exist when "%s" does not', async (name) => {
    const { code, output } = await main(name);
    expect(code).toBe(1);
    expect(output).toContain(`no command "${name}"`);
    for (const known of ['start:worker', 'services', 'bench', 'check']) expect(output).toContain(known);
  });

  it.each([
    ['an unknown argument', ['services', '--jsno'], '--jsno'],
    ['an unknown measurement', ['bench', '../memory'], 'npm run bench -- <name>'],
    ['an unknown direction', ['migrate', 'sideways'], 'up | down | status'],
    ['an unknown scale', ['seed', '--scale=huge'], '--scale must be small or full'],
    ['a date that does not exist', ['seed', '--today=2025-02-30'], '--today must be a date'],
    ['an argument of a command that has none', ['demo', '--scale=small'], '--scale=small'],
  ])('refuses %s before it starts anything', async (_what, args, message) => {
    const { code, output } = await main(...args);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(output).not.toContain('DATABASE_URL');
  });
});

describe('start', () => {
  const start = (name: string, env: NodeJS.ProcessEnv) =>
    runScript(process.execPath, [projectFile('scripts/main.ts'), name], { env });

  it.each([
    ['start', { PORT: 'http' }, 'PORT must be a number'],
    ['start:web', { LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be one of'],
    ['start:worker', { BATCH_PROCESSOR_INTERVAL: '-1' }, 'BATCH_PROCESSOR_INTERVAL must'],
    ['start', { DEMO_PASSWORD: 'short' }, 'DEMO_PASSWORD length must be at least 10'],
  ])('%s names a bad variable before it starts anything: %o', async (name, env, message) => {
    const { code, output } = await start(name, env);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(output).toContain('.env.example');
    expect(output).not.toContain('DATABASE_URL');
  });

  it('says which variable names a folder that cannot be one', async () => {
    const { code, output } = await start('services', { DATA_DIR: projectFile('package.json'), DATABASE_URL: '' });
    expect(code).toBe(1);
    expect(output).toContain('DATA_DIR');
    expect(output).toContain('set DATA_DIR to a folder that you may write to');
  });

  it('says what to do where another program listens, before it starts anything', async () => {
    const other = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const { code, output } = await start('start', { PORT: String(port) });
      expect(code).toBe(1);
      expect(output).toContain(`127.0.0.1:${port}`);
      expect(output).toContain('set another PORT');
      expect(output).not.toContain('is ready');
      expect(output).not.toContain('DATABASE_URL');
    } finally {
      other.close();
    }
  });
});

describe('a small project', () => {
  let root: string;
  const write = async (path: string, text: string): Promise<string> => {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return file;
  };
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'schools24-small-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  describe('check of imports', () => {
    const checkImports = () => runScript(process.execPath, [projectFile('scripts/check-imports.ts')], { cwd: root });

    it('lets imports point down', async () => {
      await write('src/lib/a.ts', 'export const a = 1;\n');
      await write('src/stores/b.ts', "import { a } from '../lib/a.ts';\nexport const b = a;\n");
      expect(await checkImports()).toMatchObject({ code: 0 });
    });

    it.each([
      ['an import that points up', 'src/lib/a.ts', '../http/b.ts', 'src/http/b.ts', 'lies above it'],
      [
        'a processor that knows a service',
        'processors/a.ts',
        '../src/services/b.ts',
        'src/services/b.ts',
        'must not import',
      ],
      ['an import of a wiring file', 'src/http/a.ts', '../container.ts', 'src/container.ts', 'only wires'],
    ])('refuses %s', async (_what, from, specifier, to, message) => {
      await write(from, `import { b } from '${specifier}';\nexport const a = b;\n`);
      await write(to, 'export const b = 1;\n');
      const { code, output } = await checkImports();
      expect(code).toBe(1);
      expect(output).toContain(message);
    });

    it('refuses a cycle and shows it', async () => {
      await write('src/lib/a.ts', "import { b } from './b.ts';\nexport const a = () => b;\n");
      await write('src/lib/b.ts', "import { a } from './a.ts';\nexport const b = () => a;\n");
      const { code, output } = await checkImports();
      expect(code).toBe(1);
      expect(output).toContain('src/lib/a.ts -> src/lib/b.ts -> src/lib/a.ts');
    });
  });

  describe('CI run', () => {
    /** A stand-in for npm that prints the given text for a script and ends with its code. */
    const runCi = async (given: Record<string, [text: string, code: number]>) => {
      const scripts = { 'test:fuzz': ['0 passed, 0 failed, 3 skipped', 0] as [string, number], ...given };
      await mkdir(join(root, '.ci'));
      await cp(projectFile('.ci/run'), join(root, '.ci', 'run'));
      const cases = Object.entries(scripts).map(
        ([name, [text, code]]) => `${name}) printf '${text}\\n'; exit ${code};;`,
      );
      const npm = await write(
        'bin/npm',
        `#!/bin/sh\nfor last; do :; done\ncase "$last" in\n${cases.join('\n')}\nesac\n`,
      );
      await chmod(npm, 0o755);
      const { code, output } = await runScript('bash', [join(root, '.ci', 'run')], {
        env: { PATH: `${join(root, 'bin')}:${process.env.PATH}` },
      });
      return { code, last: output.trimEnd().split('\n').at(-1) };
    };

    it('adds up all parts that have tests', async () => {
      await write('__tests__/chaos/a.test.ts', '');
      expect(
        await runCi({
          check: ['3 passed, 0 failed', 0],
          test: ['noise\\n100 passed, 0 failed, 2 skipped', 0],
          'test:chaos': ['7 passed, 0 failed', 0],
          'test:fuzz': ['3 passed, 0 failed', 0],
        }),
      ).toEqual({ code: 0, last: '113 passed, 0 failed, 2 skipped' });
    });

    it('goes on after a part that fails, and fails', async () => {
      expect(await runCi({ check: ['2 passed, 1 failed', 1], test: ['100 passed, 0 failed', 0] })).toEqual({
        code: 1,
        last: '102 passed, 1 failed, 3 skipped',
      });
    });

    it.each([
      ['prints no count', ['broken off', 1]],
      ['prints none though it claims success', ['', 0]],
      ['fails though no test did', ['100 passed, 0 failed', 1]],
    ] as [string, [string, number]][])('fails when a part %s', async (_what, outcome) => {
      const { code, last } = await runCi({ check: ['3 passed, 0 failed', 0], test: outcome });
      expect(code).toBe(1);
      expect(last).toMatch(/^\d+ passed, 1 failed, 3 skipped$/);
    });
  });
});
