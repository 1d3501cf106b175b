import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { renderRequest } from './load.ts';
import { prose, randomFrom, title } from './texts.ts';

const BODIES = 2_000;
const SERVER = fileURLToPath(new URL('./write-server.ts', import.meta.url));
/** Tokens of the real application are signed with this key in every process of the measurement. */
const KEYS = `bench:${Buffer.alloc(32, 7).toString('base64')}`;

export interface WriteServer {
  child: ChildProcess;
  port: number;
}

/** @param variant of `write-server.ts` @param nodeArgs further options of its Node */
export async function startServer(variant: string, nodeArgs: readonly string[] = []): Promise<WriteServer> {
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=64', '--no-parallel-scavenge', ...nodeArgs, SERVER, variant],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, JWT_KEYS: KEYS },
    },
  );
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, port: Number(line.toString().trim()) };
}

export async function stopServer({ child }: WriteServer, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  child.kill(signal);
  await once(child, 'exit');
}

async function login(port: number): Promise<{ token: string; classSubjects: string[] }> {
  const base = `http://127.0.0.1:${port}/api/v1`;
  const answer = await fetch(`${base}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login: 'teacher001', password: 'schools24-demo' }),
  });
  const token = ((await answer.json()) as { data: { access_token: string } }).data.access_token;
  const me = (await (await fetch(`${base}/auth/me`, { headers: { authorization: `Bearer ${token}` } })).json()) as {
    data: { scopes: { class_subjects: { id: string }[] } };
  };
  return { token, classSubjects: me.data.scopes.class_subjects.map(({ id }) => id) };
}

/** Requests of a teacher who gives homework, each with a text of its own. @param port of a server that knows logins */
export async function homeworkRequests(port: number): Promise<Buffer[]> {
  const random = randomFrom(24);
  const { token, classSubjects } = await login(port);
  return Array.from({ length: BODIES }, () =>
    renderRequest(
      'POST',
      '/api/v1/homework',
      { authorization: `Bearer ${token}` },
      {
        class_subject_ids: [classSubjects[Math.floor(random() * classSubjects.length)]!],
        title: title(random),
        description: prose(random, 100),
        due_at: new Date(Date.now() + (1 + random() * 10) * 86_400_000).toISOString(),
      },
    ),
  );
}
