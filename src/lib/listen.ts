import type { Server } from 'node:http';

/**
 * Has a server listen.
 *
 * @param portVariable names the variable that the port was taken from
 * @throws Error that says what to do when it cannot
 */
export function listen(server: Server, port: number, host: string, portVariable: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE';
      const advice = `${isTaken ? 'stop the program that listens there, or ' : ''}set another ${portVariable} or HOST`;
      reject(new Error(`cannot listen at ${host}:${port} (${cause.code}): ${advice}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
}
