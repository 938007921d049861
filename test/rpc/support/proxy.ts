import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Stands between client and server and breaks what passes. */
export class CuttingProxy {
  /** While set, bytes of this direction are swallowed: the connection looks alive and is not. */
  deaf: 'none' | 'toServer' | 'toClient' | 'both' = 'none';
  refusing = false;
  /** Every byte is so much under way, in each direction. */
  delayMs = 0;
  connections = 0;
  /** How often bytes came from a server after some had come from its client. */
  roundTrips = 0;
  private asked = false;
  private readonly pairs = new Set<[Socket, Socket]>();
  private readonly server: Server;

  constructor(private readonly target: { host: string; port: number }) {
    this.server = createServer((client) => this.accept(client));
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.server.address() as AddressInfo).port;
  }

  /** Resets every connection, in the middle of whatever it carries. */
  cut(): void {
    for (const [client, server] of this.pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.pairs.clear();
  }

  private pass(bytes: Buffer, to: Socket): void {
    if (this.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.writable && to.write(bytes), this.delayMs);
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(client: Socket): void {
    if (this.refusing) {
      client.resetAndDestroy();
      return;
    }
    this.connections++;
    const server = connect(this.target);
    const pair: [Socket, Socket] = [client, server];
    this.pairs.add(pair);
    const end = (): void => {
      this.pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    client.on('data', (bytes) => {
      this.asked = true;
      if (this.deaf === 'none' || this.deaf === 'toClient') this.pass(bytes, server);
    });
    server.on('data', (bytes) => {
      if (this.asked) this.roundTrips++;
      this.asked = false;
      if (this.deaf === 'none' || this.deaf === 'toServer') this.pass(bytes, client);
    });
  }
}
