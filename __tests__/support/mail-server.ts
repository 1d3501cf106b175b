import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** As much of a mail server as a client needs (RFC 5321). */
export class FakeMailServer {
  readonly commands: string[] = [];
  readonly messages: string[] = [];
  refuses = false;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    let rest = '';
    let isData = false;
    socket.write('220 here\r\n');
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      rest += String(chunk);
      for (;;) {
        const end = rest.indexOf(isData ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const text = rest.slice(0, end);
        rest = rest.slice(end + (isData ? 5 : 2));
        if (isData) {
          this.messages.push(text);
          isData = false;
          socket.write('250 kept\r\n');
          continue;
        }
        this.commands.push(text);
        isData = text === 'DATA';
        if (text.startsWith('RCPT') && this.refuses) socket.write(`451 ${text.slice(8)} is full\r\n`);
        else socket.write(isData ? '354 go on\r\n' : '250 fine\r\n');
      }
    });
  });

  /** @returns its address */
  async open(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return `smtp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
