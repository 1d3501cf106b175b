import winston from 'winston';
import type { Log } from './log.ts';

/** Keys whose values never reach a log, at any depth. */
const SECRET = /pass(word)?|secret|token|authorization|cookie|phone|email|dsn/i;
const HIDDEN = '[hidden]';
const MOST_DEPTH = 6;

function redact(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > MOST_DEPTH) return value;
  if (value instanceof Error) return { name: value.name, message: value.message, stack: value.stack };
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, SECRET.test(key) ? HIDDEN : redact(item, depth + 1)]));
}

const redaction = winston.format((info) => Object.assign(info, redact({ ...info })));

/** JSON lines on standard output; a line break in a value stays inside its string, so lines cannot be forged. */
export function createLogger({ level, role }: { level: string; role: string }): Log & { child(fields: object): Log } {
  return winston.createLogger({
    level,
    defaultMeta: { role },
    format: winston.format.combine(winston.format.timestamp(), redaction(), winston.format.json()),
    transports: [new winston.transports.Console({ stderrLevels: ['error'] })],
  });
}
