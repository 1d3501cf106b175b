import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listen } from '../lib/listen.ts';

/** Slow clients hold a socket, not a request: headers, then the whole request, must arrive within these. */
const HEADERS_MS = 15_000;
const REQUEST_MS = 30_000;
/** Room for a cursor that is too long, in a script of twelve characters a letter in a URL: it gets a 400 that names it. */
const MOST_HEADER_BYTES = 32 * 1024;
/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 65_000;
/** Requests under way at a stop get so long; the rest of the stop needs the remainder of its 30 s. */
const STOP_MS = 15_000;
const LOOK_FOR_IDLE_MS = 50;

/** The listening socket and how it stops. */
export class WebServer {
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  #isStopping = false;

  constructor(app: RequestListener) {
    this.#server = createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => {
        if (this.#isStopping) response.setHeader('Connection', 'close');
        this.#open.add(response);
        response.once('close', () => this.#open.delete(response));
        app(request, response);
      },
    );
  }

  /**
   * @returns the port it listens on: the one asked for, or a free one for 0
   * @throws Error that says what to do when it cannot
   */
  async listen(port: number, host: string): Promise<number> {
    await listen(this.#server, port, host, 'PORT');
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Takes no further connections, answers what is under way and tells those clients to close; ends idle connections.
   * What is not answered after 15 s is cut.
   */
  async stop(mostMs = STOP_MS): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#open) if (!response.headersSent) response.setHeader('Connection', 'close');
    await new Promise<void>((resolve) => {
      // Node keeps a connection whose request ends after `close` was called; it is idle then.
      const look = setInterval(() => this.#server.closeIdleConnections(), LOOK_FOR_IDLE_MS);
      const cut = setTimeout(() => this.#server.closeAllConnections(), mostMs);
      this.#server.close(() => {
        clearInterval(look);
        clearTimeout(cut);
        resolve();
      });
    });
  }
}
