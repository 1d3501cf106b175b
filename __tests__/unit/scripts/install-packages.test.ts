import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isInstalled } from '../../../scripts/lib/install-packages.mjs';

const MODULE = new URL('../../../scripts/lib/install-packages.mjs', import.meta.url).href;

describe('installed packages', () => {
  let root: string;
  const packageJson = { dependencies: { left: '^1.0.0' }, devDependencies: { node: '^24.0.0' } };
  const lock = {
    packages: {
      '': packageJson,
      'node_modules/left': { version: '1.2.0' },
      'node_modules/node': { version: '24.1.0' },
      'node_modules/other-machine': { version: '3.0.0', optional: true },
    },
  };
  const found = { left: '1.2.0', node: '24.1.0' };

  const write = (name: string, content: object): Promise<void> => writeFile(join(root, name), JSON.stringify(content));
  const install = async (versions: Record<string, string>): Promise<void> => {
    await mkdir(join(root, 'node_modules', 'node', 'bin'), { recursive: true });
    const packages = Object.entries(versions).map(([name, version]) => [`node_modules/${name}`, { version }]);
    await write('node_modules/.package-lock.json', { packages: Object.fromEntries(packages) });
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'schools24-install-'));
    await write('package.json', packageJson);
    await write('package-lock.json', lock);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('are missing without node_modules', () => {
    expect(isInstalled(root)).toBe(false);
  });

  it('need not come from us: what npm recorded counts, without the optional ones of other machines', async () => {
    await install(found);
    expect(isInstalled(root)).toBe(true);
  });

  it('are stale when one has another version than the lock file says', async () => {
    await install({ ...found, left: '1.1.0' });
    expect(isInstalled(root)).toBe(false);
  });

  it('are stale after package.json asks for something else, although they were fresh', async () => {
    await install(found);
    expect(isInstalled(root)).toBe(true);
    await write('package.json', { ...packageJson, dependencies: { left: '^1.0.0', right: '^2.0.0' } });
    expect(isInstalled(root)).toBe(false);
  });

  it('stay fresh when package.json changes in other ways', async () => {
    await install(found);
    isInstalled(root);
    await write('package.json', { ...packageJson, scripts: { hello: 'true' } });
    // without npm's record only the stamp can say so
    await rm(join(root, 'node_modules', '.package-lock.json'));
    expect(isInstalled(root)).toBe(true);
  });

  it('are installed once by two starts at once', async () => {
    const npm = join(root, 'npm-cli.js');
    const record = JSON.stringify({
      packages: { 'node_modules/left': { version: '1.2.0' }, 'node_modules/node': { version: '24.1.0' } },
    });
    await writeFile(
      npm,
      `const fs = require('node:fs');
       fs.appendFileSync('calls', process.argv[2] + '\\n');
       setTimeout(() => {
         fs.mkdirSync('node_modules/node/bin', { recursive: true });
         fs.writeFileSync('node_modules/.package-lock.json', ${JSON.stringify(record)});
       }, 300);`,
    );
    const code = `import { installPackages } from ${JSON.stringify(MODULE)}; await installPackages(${JSON.stringify(root)});`;
    const starts = [1, 2].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', code], {
        cwd: root,
        env: { ...process.env, npm_execpath: npm },
        stdio: 'ignore',
      }),
    );
    expect(await Promise.all(starts.map((start) => once(start, 'exit')))).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await readFile(join(root, 'calls'), 'utf8')).toBe('ci\n');
  });

  it('say what to do when the registry does not answer', async () => {
    const npm = join(root, 'npm-cli.js');
    await writeFile(npm, "process.stderr.write('npm error code ENOTFOUND\\n'); process.exitCode = 1;");
    const code = `import { installPackages } from ${JSON.stringify(MODULE)};
      await installPackages(${JSON.stringify(root)}).catch((error) => console.log(error.message));`;
    const start = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, npm_execpath: npm },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    start.stdout!.on('data', (chunk) => {
      output += chunk;
    });
    await once(start, 'close');
    expect(output).toContain('the npm registry does not answer');
  });
});
