/**
 * `ray_queue` and `ray_actor`: queues that live in an actor of a Ray cluster. Attaching and the calls stand together, since every call
 * begins with the one and may end it.
 */
import { CallEnd, untilAborted } from '../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../queue/base-queue';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import {
  ConfigMismatchError,
  QueueClosedError,
  QueueConnectionError,
  QueueExistsError,
  QueueNotFoundError,
  QueueShutDownError,
} from '../../errors';
import { interruptible } from '../../queue/interruptible-source';
import { HeldBatch } from '../../queue/lease-batch';
import { LeaseTable } from '../../queue/lease-table';
import type { Lease, LeaseBatch, QueueStats, ResolveOptions, WaitOptions } from '../../queue/types';
import { answerWithin, deadlineOf, remainingMs, restOf } from '../../wait/deadline';
import { AT_ONCE, readAnswerWithin, readMax, readShutdown, readWait } from '../../wait/options';
import type { Wait } from '../../wait/options';
import type { Backend, BackendState, Delivery, Promises } from './actor/backend';
import { ANSWER_WITHIN_MS, unanswered } from './actor/pending-call';
import { type RayActor, RayClient } from './client/ray-client';
import { RayActorDiedError, RayTaskError } from './errors';
import { LeasedBackend } from './actor/leased-backend';
import { PlainBackend } from './actor/foreign-backend';
import { QUEUE_ACTOR_NAME, QUEUE_ACTOR_SOURCE } from './actor/queue-actor-source';

const DEFAULT_LEASE_MS = 20_000;
/**
 * How long a broken connection is waited for. When the server's process of this client dies, Ray says so only after this time.
 * Short, because a queue loses nothing with a session; `ActorConnection` goes on trying for new ones.
 */
const GRACE_MS = 5000;
/** How long an actor that is being made may take: a Python process has to start for it. */
const MAKING_MS = 10_000;
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
  private readonly client: RayClient;
  private attaching: Promise<Backend> | undefined;
  /** What `attaching` came to. */
  private attached: Backend | undefined;
  /** An actor is being made: a Python process has to start. */
  private making = false;
  private closing: Promise<void> | undefined;
  private readonly leaving = new AbortController();
  private readonly answerMs: number;
  /** It had its queue once: 'exclusive' was about the first. */
  private hadQueue = false;
  private readonly leases = new LeaseTable();
  private knownMaxsize: number | undefined;

  constructor(
    descriptor: QueueDescriptor,
    private readonly options: ResolveOptions = {},
  ) {
    super(descriptor);
    const { address, namespace } = descriptor.metadata;
    this.client = new RayClient({
      address: typeof address === 'string' ? address : undefined,
      namespace: typeof namespace === 'string' ? namespace : undefined,
      credentials: options.credentials,
      graceMs: GRACE_MS,
    });
    this.answerMs = readAnswerWithin(options.answerTimeoutMs) ?? ANSWER_WITHIN_MS;
  }

  /** The actor's name. */
  protected abstract get actorName(): string;
  protected abstract get mayCreate(): boolean;

  protected override get maxsize(): number {
    return this.knownMaxsize ?? super.maxsize;
  }

  private backend(): Promise<Backend> {
    if (this.attaching === undefined) {
      const attaching = this.attach();
      this.attaching = attaching;
      attaching.then(
        (backend) => {
          if (this.attaching !== attaching || this.leaving.signal.aborted) return backend.forget();
          this.attached = backend;
          this.hadQueue = true;
        },
        () => {
          // The next call tries again.
          if (this.attaching === attaching) this.attaching = undefined;
        },
      );
    }
    return this.attaching;
  }

  /**
   * The backend, and what is left of the wait. A handle that has none yet connects first, which has its own limit; from then on the
   * actor has as long as the call waits for the queue, and `answerMs` more.
   */
  private async ready(what: string, wait: Wait): Promise<[Backend, Wait]> {
    if (this.leaving.signal.aborted) throw new QueueClosedError();
    if (this.attached !== undefined) return [this.attached, wait];
    const attaching = untilAborted(untilAborted(this.backend(), wait.signal), this.leaving.signal);
    await Promise.race([attaching, this.client.connected()]);
    const deadline = deadlineOf(wait);
    for (let waitedMs = 0; ;) {
      const limitMs = wait.timeoutMs + Math.max(this.answerMs, this.making ? MAKING_MS : 0);
      if (limitMs === Infinity) return [await attaching, wait];
      if (waitedMs >= limitMs) throw unanswered(what, limitMs);
      const late = new Error('late');
      try {
        const backend = await answerWithin(limitMs - waitedMs, attaching, () => late);
        return [backend, wait.timeoutMs === 0 ? wait : restOf(wait, deadline)];
      } catch (error) {
        if (error !== late) throw error;
        waitedMs = limitMs;
      }
    }
  }

  /** One call of the program: its errors name it, and after the actor's death the next one attaches anew. */
  private async through<V>(what: string, wait: Wait, call: (backend: Backend, wait: Wait) => Promise<V>): Promise<V> {
    let backend: Backend | undefined;
    try {
      const ready = await this.ready(what, wait);
      backend = ready[0];
      // It may have fired while this one got ready.
      if (wait.signal?.aborted) throw wait.signal.reason;
      return await call(backend, ready[1]);
    } catch (error) {
      throw this.explained(what, error, backend);
    }
  }

  private explained(what: string, error: unknown, backend: Backend | undefined): unknown {
    if (error instanceof RayTaskError) return error.calledAs(`${what}: the actor '${this.actorName}'`);
    if (!(error instanceof RayActorDiedError)) return error;
    if (backend !== undefined && this.attached === backend) {
      this.attached = this.attaching = undefined;
      backend.forget();
    }
    return new RayActorDiedError(
      `${what}: ${error.message} What the queue held is gone. The next call of this handle attaches anew, to whatever has the name '${this.actorName}' then.`,
      { cause: error, ...(error.outcome === 'unknown' && { outcome: error.outcome }) },
    );
  }

  private async attach(): Promise<Backend> {
    const name = this.actorName;
    const { create: asked = 'if-missing' } = this.options;
    const create = asked === 'exclusive' && this.hadQueue ? 'if-missing' : asked;
    const where = `in namespace '${this.client.namespace}' of ${this.client.address}`;
    const existing = await this.client.getActor(name);
    if (existing !== undefined) {
      if (create === 'exclusive')
        throw new QueueExistsError(`An actor named '${name}' exists already ${where}, and create is 'exclusive'.`);
      return this.checked(await this.backendOf(existing));
    }
    if (create === 'never' || !this.mayCreate) {
      throw new QueueNotFoundError(
        `There is no actor named '${name}' ${where}, and it is not to be created.${await this.elsewhere(name)}`,
      );
    }
    this.making = true;
    try {
      return this.checked(await this.create(name, create === 'exclusive', where));
    } finally {
      this.making = false;
    }
  }

  /** A name that exists under another namespace is the usual mistake. */
  private async elsewhere(name: string): Promise<string> {
    const all = await this.client.listNamedActors({ allNamespaces: true }).catch(() => []);
    const others = all.filter((actor) => actor.name === name).map((actor) => `'${actor.namespace}'`);
    return others.length === 0 ? '' : ` There is one in namespace ${others.join(', ')}.`;
  }

  private async create(name: string, exclusive: boolean, where: string): Promise<Backend> {
    const actorClass = { source: QUEUE_ACTOR_SOURCE, name: QUEUE_ACTOR_NAME };
    try {
      const actor = await this.client.createActor(actorClass, [super.maxsize], {}, { name, getIfExists: !exclusive });
      return await this.backendOf(actor);
    } catch (error) {
      if (
        error instanceof RayTaskError &&
        /ActorAlreadyExists|already exists|already taken/.test(`${error.pythonType} ${error.message}`)
      ) {
        throw new QueueExistsError(`An actor named '${name}' exists already ${where}, and create is 'exclusive'.`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  private async backendOf(actor: RayActor): Promise<Backend> {
    const { lease_ms: leaseMs } = this.descriptor.metadata;
    const leased = new LeasedBackend(
      this.client,
      actor,
      typeof leaseMs === 'number' && leaseMs > 0 ? leaseMs : DEFAULT_LEASE_MS,
      this.answerMs,
    );
    try {
      this.knownMaxsize = await leased.attach();
      return leased;
    } catch (error) {
      if (!(error instanceof RayTaskError) || error.pythonType !== 'builtins.AttributeError') throw error;
    }
    const plain = await PlainBackend.attach(this.client, actor, this.answerMs);
    this.knownMaxsize = plain.maxsize ?? super.maxsize;
    return plain;
  }

  private checked(backend: Backend): Backend {
    const asked = super.maxsize;
    const found = this.knownMaxsize;
    if (asked === 0 || found === undefined || asked === found) return backend;
    void backend.close();
    throw new ConfigMismatchError(
      `The queue '${this.actorName}' exists with maxsize ${found}; the descriptor asks for ${asked}. Ask for the same, or leave maxsize out to take it as it is.`,
    );
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    await this.through('put', readWait(options), (backend, wait) => backend.put(item, wait));
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const deadline = deadlineOf(wait);
    let backend: Backend | undefined;
    const attach = async (): Promise<void> => {
      [backend] = await this.ready('putMany', wait);
    };
    const ending = new CallEnd(wait.signal);
    const underWay: Promise<void>[] = [];
    let accepted = 0;
    let failure: { error: unknown } | undefined;
    const settleOldest = async (): Promise<void> => {
      try {
        await underWay.shift();
        // Puts are applied in order; what follows a refused one is refused as well.
        accepted++;
      } catch (error) {
        failure ??= { error };
      }
    };
    const start = (item: T): boolean => {
      if (wait.signal?.aborted) failure ??= { error: wait.signal.reason };
      if (failure !== undefined) return false;
      try {
        const put = backend!.put(item, { timeoutMs: remainingMs(deadline), signal: wait.signal });
        put.catch((error) => ending.end(error));
        underWay.push(put);
        return true;
      } catch (error) {
        failure = { error };
        return false;
      }
    };
    try {
      if (typeof items === 'string' || Symbol.iterator in items) {
        await attach();
        // Without an await between them, so that all go in one call.
        for (const item of items) {
          if (!start(item)) break;
          if (underWay.length >= PUTS_AHEAD) await settleOldest();
        }
      } else {
        for await (const item of interruptible(items, this, ending.signal, attach)) {
          if (!start(item)) break;
          if (underWay.length >= PUTS_AHEAD) await settleOldest();
        }
      }
    } catch (error) {
      failure ??= { error };
    }
    ending.dispose();
    while (underWay.length > 0) await settleOldest();
    if (failure !== undefined) throw withAccepted(this.explained('putMany', failure.error, backend), accepted);
    return accepted;
  }

  private take(what: string, max: number, wait: Wait): Promise<Delivery[]> {
    return this.through(what, wait, (backend, rest) => backend.take(max, rest));
  }

  override async get(options?: WaitOptions): Promise<T> {
    const [delivery] = await this.take('get', 1, readWait(options));
    delivery!.acknowledge();
    return valueOf<T>(delivery!);
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const most = readMax(max);
    if (most === 0) return [];
    const good = upToUnreadable(await this.take('getMany', most, wait));
    for (const delivery of good) delivery.acknowledge();
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
    if (held[0] !== undefined && 'error' in held[0].item) held[0].acknowledge();
    const items = held.map((delivery) => valueOf<T>(delivery));
    const run = this.leases.lend(held.length, {
      end: (from, to, acknowledge) => this.endLeases(held.slice(from, to), acknowledge),
      deliveries: (index) => held[index]!.deliveries,
      crashes: () => 0,
    });
    return new HeldBatch(items, run);
  }

  private async endLeases(held: readonly Delivery[], acknowledge: boolean): Promise<void> {
    if (this.leaving.signal.aborted) {
      for (const delivery of held) delivery.requeue();
      return;
    }
    const how = acknowledge ? 'ack' : 'release';
    try {
      await Promise.all(held.map((delivery) => delivery[how]()));
    } catch (error) {
      throw this.explained(how, error, undefined);
    }
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    await this.through('join', readWait(options), (backend, wait) => backend.join(wait));
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
    this.closing ??= (async () => {
      this.leaving.abort(new QueueClosedError());
      this.leases.loseNow();
      await this.attached?.close();
      await this.client.close();
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
  for (const delivery of deliveries.slice(good.length)) void delivery.release().catch(() => {});
  return good;
}

function valueOf<T>(delivery: Delivery): T {
  if ('error' in delivery.item) throw delivery.item.error;
  return delivery.item.value as T;
}

/** One detached named actor per `queue_id` and namespace, made when it is missing. */
export class RayQueue<T = unknown> extends QueueOnRay<T> {
  protected get actorName(): string {
    return this.descriptor.queueId;
  }

  protected get mayCreate(): boolean {
    return true;
  }
}

/** Any named actor with put, get, empty and qsize; made as a queue when there is none, unless `create` is false. */
export class RayActorQueue<T = unknown> extends QueueOnRay<T> {
  protected get actorName(): string {
    const { actor_name: name } = this.descriptor.metadata;
    if (typeof name !== 'string' || name === '')
      throw new QueueConnectionError('The descriptor of a ray_actor queue has no actor_name in its metadata.');
    return name;
  }

  protected get mayCreate(): boolean {
    return this.descriptor.metadata.create !== false;
  }
}
