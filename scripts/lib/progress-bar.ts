const WIDTH = 30;

interface Terminal {
  isTTY?: boolean;
  write(text: string): unknown;
}

/** A bar that fills in place on a terminal; elsewhere, in logs, a line a step. */
export function progressBar(terminal: Terminal): (what: string, count: number, share: number) => void {
  return (what, count, share) => {
    const filled = Math.round(share * WIDTH);
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${`${Math.floor(share * 100)}`.padStart(3)} %`;
    const line = `${bar}  ${what}: ${count.toLocaleString('en')} rows`;
    if (!terminal.isTTY) terminal.write(`${line}\n`);
    else terminal.write(`\r\x1b[K${line}${share >= 1 ? '\n' : ''}`);
  };
}
