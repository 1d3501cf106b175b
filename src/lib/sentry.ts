/** Reports errors to Sentry where SENTRY_DSN is set; the package is loaded only then. */
export async function startSentry(dsn: string | undefined): Promise<void> {
  if (!dsn) return;
  const sentry = await import('@sentry/node');
  sentry.init({ dsn });
}
