/** Where errors that wake someone go besides the log. */
export interface ErrorReports {
  /** @param fields of the log line, redacted already */
  report(message: string, error: unknown, fields: object): void;
  /** Sends what is still waiting; for an orderly stop. */
  flush(): Promise<void>;
}

const FLUSH_MS = 2_000;

/**
 * Reports errors to Sentry where SENTRY_DSN is set; the package is loaded only then. Without its default integrations:
 * those wrap every request and attach what is in it.
 */
export async function startErrorReports(
  dsn: string | undefined,
  environment: string,
): Promise<ErrorReports | undefined> {
  if (!dsn) return undefined;
  const sentry = await import('@sentry/node');
  sentry.init({ dsn, environment, defaultIntegrations: false });
  return {
    report(message, error, fields) {
      if (error instanceof Error) sentry.captureException(error, { extra: { message, ...fields } });
      else sentry.captureMessage(message, { level: 'error', extra: { ...fields } });
    },
    async flush() {
      await sentry.close(FLUSH_MS);
    },
  };
}
