import { join } from 'node:path';
import { pythonEnvironment } from './python-environment.ts';
import type { ServiceLog } from './types.ts';

/** The fuzzer and what it needs, at exactly the tried versions. */
const REQUIREMENTS = [
  'schemathesis==4.32.5',
  'anyio==4.16.0',
  'certifi==2026.10.19.post1',
  'charset-normalizer==3.5.2',
  'click==8.5.1',
  'graphql-core==3.3.2',
  'harfile==0.6.0',
  'hypothesis==6.170.17',
  'hypothesis-graphql==0.13.5',
  'idna==3.20',
  'iniconfig==2.3.1',
  'jsonschema-rs==0.60.3',
  'markdown-it-py==4.3.0',
  'MarkupSafe==3.0.4',
  'mdurl==0.1.2',
  'packaging==26.3',
  'pluggy==1.7.0',
  'Pygments==2.21.0',
  'pyrate-limiter==4.5.1',
  'pytest==9.2.0',
  'PyYAML==6.0.4',
  'requests==2.34.2',
  'rich==15.0.0',
  'sortedcontainers==2.4.0',
  'typing-extensions==4.16.0',
  'urllib3==2.8.0',
  'Werkzeug==3.1.9',
];

/** @returns the Python that runs `-m schemathesis.cli` @throws NoPythonError; Error that says what to do */
export async function schemathesisPython(log: ServiceLog): Promise<string> {
  const folder = await pythonEnvironment(
    {
      name: 'schemathesis',
      requirements: REQUIREMENTS,
      oldest: [3, 11],
      what: 'schemathesis',
      whatElse: 'leave the fuzzer out',
    },
    log,
  );
  return join(folder, 'bin', 'python');
}
