/** A queue in an actor of ours: leases, puts applied once, waits that the cluster ends. */
import type { Wait } from '../../../wait/options';
import type { RayActor, RayClient } from '../client/ray-client';
import { ActorConnection } from './actor-session';
import type { Backend, BackendState, Delivery, Promises } from './backend';
import { Reader } from './taker';
import { Writer } from './putter';

interface ActorState {
  qsize: number;
  leased: number;
  maxsize: number;
  put_total: number;
  get_total: number;
  redelivered: number;
  getters: number;
  putters: number;
}

/** A handle that hangs at close is given up after this; its leases then run out. */
const CLOSE_MS = 5000;

export class LeasedBackend implements Backend {
  readonly promises: Promises = { delivery: 'at-least-once', idempotentPuts: true, fifo: true, blocking: 'waits' };
  private readonly connection: ActorConnection;
  private readonly writer: Writer;
  private readonly reader: Reader;

  constructor(client: RayClient, actor: RayActor, leaseMs: number) {
    this.connection = new ActorConnection(client, actor, leaseMs);
    this.writer = new Writer(this.connection);
    this.reader = new Reader(this.connection);
  }

  /** The maxsize that the queue has. */
  async attach(): Promise<number> {
    await this.connection.ready();
    return this.connection.maxsize;
  }

  put(item: unknown, wait: Wait): Promise<void> {
    return this.writer.put(item, wait);
  }

  take(max: number, wait: Wait): Promise<Delivery[]> {
    return this.reader.take(max, wait);
  }

  async state(): Promise<BackendState> {
    const state = (await this.connection.settleNow()) as ActorState;
    return {
      qsize: state.qsize,
      leased: state.leased,
      maxsize: state.maxsize,
      putTotal: state.put_total,
      getTotal: state.get_total,
      redelivered: state.redelivered,
      waitingGetters: state.getters,
      waitingPutters: state.putters,
    };
  }

  async shutdown(immediate: boolean): Promise<void> {
    await this.connection.ready();
    await this.connection.client.call(this.connection.actor, 'sage_shutdown', [immediate]);
  }

  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    const leaving = Promise.all([this.writer.close(), this.reader.close()]).then(() => this.connection.leave());
    await Promise.race([leaving, late]);
    clearTimeout(timer);
  }
}
