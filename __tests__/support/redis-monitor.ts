import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** A command as Redis saw it; bytes that are not text stay in Redis' own escapes. */
export interface SeenCommand {
  /** In lower case. */
  name: string;
  args: string[];
  /** Address of the client, `lua` for a script's own commands. */
  source: string;
}

const LINE = /^\+[\d.]+ \[\d+ (\S+)\] (.*)$/;
const ARGUMENT = /"((?:[^"\\]|\\.)*)"/g;

function parse(line: string): SeenCommand | undefined {
  const [, source, text] = LINE.exec(line) ?? [];
  if (source === undefined || text === undefined) return undefined;
  const [name, ...args] = Array.from(text.matchAll(ARGUMENT), ([, argument]) => argument!);
  return { name: name!.toLowerCase(), args, source };
}

/**
 * What one Redis is told while something happens. It speaks the protocol itself: ioredis' own monitor breaks when commands
 * arrive in the same packet as the answer that starts it.
 *
 * @param marker sends a command that nothing else sends, and returns its argument
 */
export async function commandsDuring(
  url: string,
  action: () => Promise<unknown>,
  marker: () => Promise<string>,
): Promise<SeenCommand[]> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const lines = createInterface({ input: socket });
  socket.write('MONITOR\r\n');
  await once(lines, 'line'); // +OK
  const seen: SeenCommand[] = [];
  lines.on('line', (line) => {
    const command = parse(line);
    if (command) seen.push(command);
  });
  try {
    await action();
    const last = await marker();
    while (!seen.some(({ args }) => args[0] === last)) await once(lines, 'line');
    return seen;
  } finally {
    lines.close();
    socket.destroy();
  }
}
