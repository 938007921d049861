/** The port: accepts connections up to a limit, drops those that never speak, and hands the rest to gRPC. */
import { createServer } from 'node:net';
import { bareHost, socketPath } from '../transports/rpc/wire/addresses';
import type { AddressInfo, Server, Socket } from 'node:net';

/** The first bytes of every HTTP/2 connection; a peer that has not sent them in time is not a client. */
const PREFACE_BYTES = 24;
const SPEAK_WITHIN_MS = 10_000;

export class Listener {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(inject: (socket: Socket) => void, maxConnections: number) {
    this.server = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket);
      const timer = setTimeout(() => {
        if (socket.bytesRead < PREFACE_BYTES) socket.destroy();
      }, SPEAK_WITHIN_MS);
      timer.unref();
      socket.on('error', () => socket.destroy());
      socket.once('close', () => {
        clearTimeout(timer);
        this.sockets.delete(socket);
      });
      inject(socket);
    });
    this.server.maxConnections = maxConnections;
  }

  /** @returns the port, which the system chose if 0 was asked for; 0 for a socket (unix:/path). */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      const path = socketPath(host);
      const where = path === undefined ? { host: bareHost(host), port } : { path };
      this.server.listen({ ...where, backlog: 1024 }, () => {
        this.server.removeListener('error', reject);
        // An accept that fails (out of file descriptors) must not take the process down.
        this.server.on('error', () => {});
        resolve(path === undefined ? (this.server.address() as AddressInfo).port : 0);
      });
    });
  }

  /** Takes no more connections. */
  close(): void {
    this.server.close();
  }

  destroy(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}
