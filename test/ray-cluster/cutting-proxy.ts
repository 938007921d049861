import net from 'node:net';

/** A TCP proxy on loopback whose connections can be cut, and which can refuse or swallow for a while. */
export class CuttingProxy {
  private readonly pairs = new Set<[net.Socket, net.Socket]>();
  private readonly server: net.Server;
  private refusing = false;
  private target!: { host: string; port: number };
  /** Connections that were cut. */
  cuts = 0;
  address = '';

  constructor(rayAddress: string) {
    this.leadTo(rayAddress);
    this.server = net.createServer((near) => this.accept(near));
  }

  /** Where connections go from here on. */
  leadTo(rayAddress: string): void {
    const { hostname, port } = new URL(rayAddress);
    this.target = { host: hostname, port: Number(port) };
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.address = `ray://127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
    return this;
  }

  private accept(near: net.Socket): void {
    if (this.refusing) return void near.destroy();
    const far = net.connect(this.target.port, this.target.host);
    const pair: [net.Socket, net.Socket] = [near, far];
    this.pairs.add(pair);
    for (const [from, to] of [pair, [far, near]] as [net.Socket, net.Socket][]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
    }
  }

  cut(): void {
    for (const pair of this.pairs) {
      this.cuts++;
      for (const socket of pair) socket.resetAndDestroy();
    }
  }

  refuse(refusing: boolean): void {
    this.refusing = refusing;
    if (refusing) this.cut();
  }

  async stop(): Promise<void> {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
