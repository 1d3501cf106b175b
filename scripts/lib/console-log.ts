/** Progress for people, on standard error: standard output belongs to results. */
export const consoleLog = {
  info: (message: string): void => void process.stderr.write(`${message}\n`),
  warn: (message: string): void => void process.stderr.write(`warning: ${message}\n`),
};

export const quietLog = { info: (): void => {}, warn: consoleLog.warn };
