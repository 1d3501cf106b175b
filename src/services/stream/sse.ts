/** What clients wait before they connect again, ms. */
const RETRY_MS = 3_000;

export const RETRY = `retry: ${RETRY_MS}\n\n`;

/** A comment: it keeps proxies from closing what is quiet, and clients do not see it. */
export const HEARTBEAT = ':\n\n';

/**
 * One server-sent event.
 *
 * @param data JSON, which has no line breaks of its own
 * @param id what a client sends as Last-Event-ID to go on after it; events without leave the last one as it is
 */
export const eventOf = (name: string, data: string, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${data}\n\n`;
