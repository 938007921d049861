/** `ray_queue` and `ray_actor`: queues that live in an actor of a Ray cluster. */
import { CallEnd } from '../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../queue/base-queue';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueConnectionError, QueueShutDownError, QueueTimeoutError } from '../../errors';
import { interruptible, tellingOfSilence } from '../../queue/interruptible-source';
import { HeldBatch } from '../../queue/lease-batch';
import { LeaseTable } from '../../queue/lease-table';
import type { LeaseEnd } from '../../queue/lease-table';
import { tellRedelivered } from '../../queue/redelivered-channel';
import type { Lease, LeaseBatch, QueueStats, ResolveOptions, WaitOptions } from '../../queue/types';
import { answerWithin, deadlineOf, remainingMs, restOf } from '../../wait/deadline';
import { AT_ONCE, JOIN_OPTIONS, readMax, readPositiveMilliseconds, readShutdown, readWait } from '../../wait/options';
import type { Wait } from '../../wait/options';
import { watched } from '../../wait/wait-channel';
import type { WaitingCall } from '../../wait/wait-channel';
import type { Backend, BackendState, Delivery, Promises } from './actor/backend';
import { ANSWER_WITHIN_MS, unanswered } from './actor/pending-call';
import { Attachment } from './attachment';
import type { AskedActor } from './attachment';
import { RayActorDiedError, RayTaskError } from './errors';
import { PutGroup } from './actor/putter';
import { PutLine } from './put-line';

/** putMany keeps this many puts under way: enough to fill a batch while another is on its way. */
const PUTS_AHEAD = 2000;

/** What `stats()` of a Ray queue tells beside the rest. */
export interface RayQueueStats extends QueueStats {
  /** Items on lease, over all processes. */
  leased: number;
  /** What this queue promises, by what its actor can do. */
  promises: Promises;
}

abstract class QueueOnRay<T> extends BaseQueue<T> {
  private readonly attachment: Attachment;
  private closing: Promise<void> | undefined;
  private readonly answerMs: number;
  private readonly leases = new LeaseTable();
  private readonly putLine = new PutLine();

  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    this.answerMs = readPositiveMilliseconds('answerTimeoutMs', options.answerTimeoutMs) ?? ANSWER_WITHIN_MS;
    this.attachment = new Attachment(descriptor, options, this.answerMs, () => this.askedActor());
  }

  /** The actor that is the queue. */
  protected abstract askedActor(): AskedActor;

  protected override get maxsize(): number {
    return this.attachment.maxsize;
  }

  /** One call of the program: its errors name it, and after the actor's death the next one attaches anew. */
  private async through<V>(what: string, wait: Wait, call: (backend: Backend, wait: Wait) => Promise<V>): Promise<V> {
    let backend: Backend | undefined;
    try {
      const ready = await this.attachment.ready(what, wait);
      backend = ready[0];
      // It may have fired while this one got ready.
      if (wait.signal?.aborted) throw wait.signal.reason;
      return await call(backend, ready[1]);
    } catch (error) {
      throw this.explained(what, error, backend);
    }
  }

  private watched<V>(call: WaitingCall, waiting: Promise<V>): Promise<V> {
    return watched(this.descriptor, call, waiting);
  }

  private explained(what: string, error: unknown, backend: Backend | undefined): unknown {
    if (!(error instanceof RayTaskError || error instanceof RayActorDiedError)) return error;
    const { actorName } = this.attachment;
    if (error instanceof RayTaskError) return error.calledAs(`${what}: the actor '${actorName}'`);
    if (backend !== undefined) this.attachment.lose(backend);
    return new RayActorDiedError(
      `${what}: ${error.message} What the queue held is gone. The next call of this handle attaches anew, to whatever has the name '${actorName}' then.`,
      { cause: error, ...(error.outcome === 'unknown' && { outcome: error.outcome }) },
    );
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const given = readWait(options);
    const deadline = deadlineOf(given);
    await this.putLine.begin(given, () =>
      this.through('put', restOf(given, deadline), (backend, wait) => this.watched('put', backend.put(item, wait))),
    );
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const deadline = deadlineOf(wait);
    let backend: Backend | undefined;
    const attach = async (): Promise<void> => {
      [backend] = await this.attachment.ready('putMany', wait);
    };
    const ending = new CallEnd(wait.signal);
    const group = new PutGroup();
    const underWay: Promise<void>[] = [];
    let accepted = 0;
    let isWhole = true;
    let failure: { error: unknown } | undefined;
    let late: { error: unknown } | undefined;
    const settleOldest = async (): Promise<void> => {
      try {
        await underWay.shift();
        // Whoever goes on from here goes on behind the first that is not in, or of which that is not known.
        if (isWhole) accepted++;
      } catch (error) {
        isWhole = false;
        failure ??= { error };
      }
    };
    const start = (item: T): boolean => {
      if (wait.signal?.aborted) failure ??= { error: wait.signal.reason };
      failure ??= group.failed;
      if (failure !== undefined) return false;
      try {
        const put = backend!.put(item, { timeoutMs: remainingMs(deadline), signal: wait.signal }, group);
        put.catch((error) => ending.end(error));
        underWay.push(put);
        return true;
      } catch (error) {
        failure = { error };
        return false;
      }
    };
    const place = await this.putLine.hold(wait);
    try {
      await attach();
      if (typeof items === 'string' || Symbol.iterator in items) {
        // Without an await between them, so that all go in one call.
        for (const item of items) {
          if (!start(item)) break;
          if (underWay.length >= PUTS_AHEAD) await settleOldest();
        }
      } else {
        const source = interruptible(items, this, { signal: ending.signal, deadline, isReferenced: this.isReferenced });
        for await (const item of tellingOfSilence(source, (isSilent) => place.setAside(isSilent))) {
          if (!start(item)) break;
          if (underWay.length >= PUTS_AHEAD) await settleOldest();
        }
      }
    } catch (error) {
      // What is under way may have found that there was no room: that is why nothing more went in.
      if (error instanceof QueueTimeoutError) late = { error };
      else failure ??= { error };
    }
    place.leave();
    ending.dispose();
    while (underWay.length > 0) await settleOldest();
    failure ??= late;
    if (failure !== undefined) throw withAccepted(this.explained('putMany', failure.error, backend), accepted, wait);
    return accepted;
  }

  private take(what: string, max: number, wait: Wait): Promise<Delivery[]> {
    return this.through(what, wait, (backend, rest) => this.watched('get', backend.take(max, rest)));
  }

  override async get(options?: WaitOptions): Promise<T> {
    const [delivery] = await this.take('get', 1, readWait(options));
    delivery!.end('ack');
    return valueOf<T>(delivery!);
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const most = readMax(max);
    if (most === 0) return [];
    const good = upToUnreadable(await this.take('getMany', most, wait));
    for (const delivery of good) delivery.end('ack');
    return good.map((delivery) => valueOf<T>(delivery));
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    return this.batchOn(await this.take('lease', 1, readWait(options))).leases[0]!;
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const wait = readWait(options);
    const most = readMax(max, 'leaseMany');
    if (most === 0) return this.batchOn([]);
    const good = upToUnreadable(await this.take('leaseMany', most, wait));
    return this.batchOn(good);
  }

  /** @throws SerializationError when the first item cannot be read; then it is gone */
  private batchOn(held: readonly Delivery[]): HeldBatch<T> {
    if (held[0] !== undefined && 'error' in held[0].item) held[0].end('ack');
    const items = held.map((delivery) => valueOf<T>(delivery));
    const run = this.leases.lend(held.length, {
      end: (from, to, acknowledge) => this.endLeases(held.slice(from, to), acknowledge ? 'ack' : 'release'),
      undo: (from, to) => this.endLeases(held.slice(from, to), 'undo'),
      deliveries: (index) => held[index]!.deliveries,
      crashes: () => 0,
    });
    const batch = new HeldBatch(items, run);
    tellRedelivered(this.descriptor, batch);
    return batch;
  }

  private async endLeases(held: readonly Delivery[], how: LeaseEnd): Promise<void> {
    if (this.attachment.isLeaving) {
      for (const delivery of held) delivery.end(how);
      return;
    }
    try {
      await Promise.all(held.map((delivery) => delivery.endNow(how)));
    } catch (error) {
      throw this.explained(how, error, undefined);
    }
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    await this.through('join', readWait(options, JOIN_OPTIONS), (backend, wait) =>
      this.watched('join', backend.join(wait)),
    );
  }

  private state(what: string): Promise<BackendState> {
    return this.through(what, AT_ONCE, (backend) => backend.state());
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async qsize(): Promise<number> {
    return (await this.state('qsize')).qsize;
  }

  /** Items on lease count: they may come back. */
  override async full(): Promise<boolean> {
    const { maxsize, qsize, leased } = await this.state('full');
    return maxsize > 0 && qsize + leased >= maxsize;
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    const immediate = readShutdown(options);
    const late = (): Error => unanswered('shutdown', this.answerMs, { outcome: 'unknown' });
    await this.through('shutdown', AT_ONCE, (backend) =>
      answerWithin(this.answerMs, backend.shutdown(immediate), late),
    );
    this.tellEnd(new QueueShutDownError('The queue was shut down and takes no more items.'));
  }

  /** Returns also when the cluster or the actor is silent. */
  override close(): Promise<void> {
    this.tellClosing();
    this.closing ??= (async () => {
      this.attachment.leave();
      this.putLine.close();
      this.leases.loseNow();
      await this.attachment.close();
    })();
    this.tellEnd(new QueueClosedError());
    return this.closing;
  }

  override async stats(): Promise<RayQueueStats> {
    const { queueId, queueType } = this.descriptor;
    return this.through('stats', AT_ONCE, async (backend) => ({
      queueId,
      queueType,
      ...(await backend.state()),
      promises: backend.promises,
    }));
  }
}

/** An unreadable item comes alone, so that those before it are not lost with its error; what is behind it goes back. */
function upToUnreadable(deliveries: readonly Delivery[]): readonly Delivery[] {
  const bad = deliveries.findIndex((delivery) => 'error' in delivery.item);
  const good = bad === -1 ? deliveries : deliveries.slice(0, Math.max(bad, 1));
  for (const delivery of deliveries.slice(good.length)) delivery.end('undo');
  return good;
}

function valueOf<T>(delivery: Delivery): T {
  if ('error' in delivery.item) throw delivery.item.error;
  return delivery.item.value as T;
}

/** One detached named actor per `queue_id` and namespace, made when it is missing. */
export class RayQueue<T = unknown> extends QueueOnRay<T> {
  protected askedActor(): AskedActor {
    return { name: this.descriptor.queueId, mayCreate: true };
  }
}

/** Any named actor with put, get, empty and qsize; made as a queue when there is none, unless `create` is false. */
export class RayActorQueue<T = unknown> extends QueueOnRay<T> {
  protected askedActor(): AskedActor {
    const { actor_name: name, create } = this.descriptor.metadata;
    if (typeof name !== 'string' || name === '')
      throw new QueueConnectionError('The descriptor of a ray_actor queue has no actor_name in its metadata.');
    return { name, mayCreate: create !== false };
  }
}
