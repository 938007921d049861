/** One client of one server on a virtual loop, with a handle beside the server that sees what is in the queue. */
import assert from 'node:assert/strict';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { GRACE_MS } from './rpc-calls';
import { Server } from './simulated-server';
import { Network, simulateGrpc } from './streams';
import type { VirtualLoop } from './virtual-clock';

const grpc = simulateGrpc();

export class OneClient {
  /** What is sent takes so long. */
  wayMs: number;
  readonly network: Network;
  readonly keeper;
  readonly queue;
  private readonly descriptor: QueueDescriptor;
  private server: Server;

  constructor(
    private readonly loop: VirtualLoop,
    name: string,
    { wayMs, maxsize }: { wayMs: number; maxsize?: number },
  ) {
    this.wayMs = wayMs;
    this.descriptor = QueueDescriptor.createLocalQueue(name, maxsize === undefined ? {} : { maxsize });
    this.keeper = resolveDescriptor<number>(this.descriptor);
    this.network = new Network(
      loop,
      grpc,
      () => this.wayMs,
      () => false,
    );
    this.server = new Server(this.descriptor, this.network);
    this.queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', 1, this.descriptor.queueId));
  }

  async until(done: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await done())) await this.loop.advance(this.loop.now + 1);
  }

  /** What a call ends with, however long that takes. */
  async ends<R>(call: Promise<R>): Promise<R> {
    let isOver = false;
    void call.then(() => (isOver = true));
    await this.until(() => isOver);
    return call;
  }

  /** Items in the queue. */
  size(): Promise<number> {
    return this.loop.outcome(this.keeper.qsize());
  }

  /** Another server comes in the place of the one that dies. */
  replaceServer(): void {
    this.server.die();
    this.server = new Server(this.descriptor, this.network);
  }

  async close(): Promise<void> {
    const closed = this.queue.close();
    await this.loop.advance(this.loop.now + 100);
    await this.loop.outcome(closed);
  }

  /** Nothing is left that would happen later. */
  async end(): Promise<void> {
    this.server.die();
    await this.keeper.close();
    await this.loop.advance(this.loop.now + GRACE_MS);
    assert.equal(this.loop.armed, 0);
  }
}
