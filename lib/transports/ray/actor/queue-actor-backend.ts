/** A queue in an actor of ours: leases, puts applied once, waits that the cluster ends. */
import { answerWithin } from '../../../wait/deadline';
import type { Wait } from '../../../wait/options';
import type { RayActor, RayClient } from '../client/ray-client';
import { ActorSession } from './actor-session';
import type { Backend, BackendState, Delivery, Promises } from './backend';
import { Joiner } from './joiner';
import { unanswered } from './pending-call';
import { type PutGroup, Putter } from './putter';
import { Taker } from './taker';

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

export class QueueActorBackend implements Backend {
  readonly promises: Promises = {
    delivery: 'at-least-once',
    idempotentPuts: true,
    fifo: true,
    blocking: 'waits',
    totals: 'queue',
  };
  private readonly connection: ActorSession;
  private readonly putter: Putter;
  private readonly taker: Taker;
  private readonly joiner: Joiner;

  constructor(
    client: RayClient,
    actor: RayActor,
    leaseMs: number,
    private readonly answerMs: number,
    silentMs?: number,
  ) {
    this.connection = new ActorSession(client, actor, leaseMs, answerMs, silentMs);
    this.putter = new Putter(this.connection, answerMs);
    this.taker = new Taker(this.connection, answerMs);
    this.joiner = new Joiner(this.connection, answerMs);
  }

  /** The maxsize that the queue has. */
  async attach(): Promise<number> {
    await this.connection.ready();
    return this.connection.maxsize;
  }

  put(item: unknown, wait: Wait, group?: PutGroup): Promise<void> {
    return this.putter.put(item, wait, group);
  }

  take(max: number, wait: Wait): Promise<Delivery[]> {
    return this.taker.take(max, wait);
  }

  async state(): Promise<BackendState> {
    const state = (await this.connection.settleNow('the state of the queue')) as ActorState;
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

  join(wait: Wait): Promise<void> {
    return this.joiner.join(wait);
  }

  async close(): Promise<void> {
    this.joiner.close();
    const leaving = Promise.all([this.putter.close(), this.taker.close()]).then(() => this.connection.leave());
    // A handle whose actor does not answer is given up; its leases then run out.
    await answerWithin(this.answerMs, leaving, () => unanswered('close', this.answerMs)).catch(() => {});
    this.putter.abort();
    this.connection.forget();
  }

  forget(): void {
    this.connection.forget();
  }
}
