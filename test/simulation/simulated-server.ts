/** A server of queues as a process would have it: it may die, or stop and come back as another. */
import { resolveDescriptor } from '../../lib';
import type { Queue, QueueDescriptor } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import type { Listener, Network } from './streams';

export const REATTACH_MS = 300;
export const REMEMBER_MS = 2000;

export class Server {
  private readonly server: QueueServer;
  private readonly handle: Queue;
  isStopping = false;

  constructor(
    descriptor: QueueDescriptor,
    private readonly network: Network,
  ) {
    this.handle = resolveDescriptor(descriptor);
    this.server = new QueueServer({
      queues: { [descriptor.queueId]: this.handle },
      reattachMs: REATTACH_MS,
      rememberMs: REMEMBER_MS,
    });
    const inside = this.server as unknown as { attach: Listener; listener: { close(): void; destroy(): void } };
    // Instead of a socket.
    inside.listener = { close: () => {}, destroy: () => {} };
    network.listener = (call) => inside.attach(call);
  }

  /** A process that dies, with the queue in memory that others keep: what it held goes back, and it does nothing any more. */
  die(): void {
    void this.handle.close();
    this.network.killListener();
  }

  async stop(graceMs: number): Promise<void> {
    this.isStopping = true;
    this.network.listener = undefined;
    await this.server.stop({ graceMs });
    await this.handle.close();
  }
}
