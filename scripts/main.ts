import { COMMANDS } from './commands/index.ts';

const [name = '', ...args] = process.argv.slice(2);
const command = COMMANDS[name];

if (!command) {
  process.stderr.write(
    `${name ? `there is no command "${name}"` : 'say what to run'}: ${Object.keys(COMMANDS).join(', ')}\n`,
  );
  process.exit(2);
}
try {
  process.exitCode = await command(args);
} catch (error) {
  process.stderr.write(`${name}: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
