/** @returns the exit code */
export type Command = (args: string[]) => Promise<number>;

/** A mistake of the caller, told without a stack. */
export class CommandError extends Error {
  override name = 'CommandError';
}

/** Refuses arguments that the command does not know. */
export function refuseUnknown(args: readonly string[], known: readonly string[]): void {
  const unknown = args.find((arg) => !known.some((name) => (name.endsWith('=') ? arg.startsWith(name) : arg === name)));
  if (unknown !== undefined) {
    throw new CommandError(`Unknown argument ${unknown}; known are: ${known.join(' ') || 'none'}`);
  }
}

/** @returns the part behind `--name=` */
export const optionOf = (args: readonly string[], name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
