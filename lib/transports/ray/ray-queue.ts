/** `ray_queue` and `ray_actor`: queues that live in an actor of a Ray cluster. */
import { CallEnd, onAbort } from '../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../queue/base-queue';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { asyncDispose } from '../../util/dispose';
import {
  ConfigMismatchError,
  QueueClosedError,
  QueueConnectionError,
  QueueExistsError,
  QueueNotFoundError,
  QueueShutDownError,
} from '../../errors';
import { interruptible } from '../../queue/interruptible-source';
import type { Lease, QueueStats, ResolveOptions, WaitOptions } from '../../queue/types';
import { deadlineOf, remainingMs } from '../../wait/deadline';
import { readMax, readShutdown, readWait } from '../../wait/options';
import type { Wait } from '../../wait/options';
import type { Backend, Delivery, Promises } from './actor/backend';
import { type RayActor, RayClient } from './client/ray-client';
import { RayTaskError } from './errors';
import { LeasedBackend } from './actor/leased-backend';
import { PlainBackend } from './actor/foreign-backend';
import { QUEUE_ACTOR_NAME, QUEUE_ACTOR_SOURCE } from './actor/queue-actor-source';

const DEFAULT_LEASE_MS = 20_000;
/**
 * How long a broken connection is waited for. When the server's process of this client dies, Ray says so only after this time.
 * Short, because a queue loses nothing with a session; `ActorConnection` goes on trying for new ones.
 */
const GRACE_MS = 5000;
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
  private closing: Promise<void> | undefined;
  private readonly leases = new Set<Delivery>();
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
  }

  /** The actor's name. */
  protected abstract get actorName(): string;
  protected abstract get mayCreate(): boolean;

  protected override get maxsize(): number {
    return this.knownMaxsize ?? super.maxsize;
  }

  private backend(): Promise<Backend> {
    if (this.closing !== undefined) return Promise.reject(new QueueClosedError());
    if (this.attaching === undefined) {
      const attaching = this.attach();
      this.attaching = attaching;
      attaching.catch(() => {
        // The next call tries again.
        if (this.attaching === attaching) this.attaching = undefined;
      });
    }
    return this.attaching;
  }

  private async attach(): Promise<Backend> {
    const name = this.actorName;
    const { create = 'if-missing' } = this.options;
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
    return this.checked(await this.create(name, create === 'exclusive', where));
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
    );
    try {
      this.knownMaxsize = await leased.attach();
      return leased;
    } catch (error) {
      if (!(error instanceof RayTaskError) || error.pythonType !== 'builtins.AttributeError') throw error;
    }
    const plain = await PlainBackend.attach(this.client, actor);
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
    const wait = readWait(options);
    const backend = await untilAborted(this.backend(), wait);
    await backend.put(item, wait);
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const deadline = deadlineOf(wait);
    let backend: Backend;
    const attach = async (): Promise<void> => {
      backend = await untilAborted(this.backend(), wait);
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
        const put = backend.put(item, { timeoutMs: remainingMs(deadline), signal: wait.signal });
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
    if (failure !== undefined) throw withAccepted(failure.error, accepted);
    return accepted;
  }

  private async take(max: number, wait: Wait): Promise<Delivery[]> {
    const backend = await untilAborted(this.backend(), wait);
    return backend.take(max, wait);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const [delivery] = await this.take(1, readWait(options));
    delivery!.acknowledge();
    return valueOf<T>(delivery!);
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const most = readMax(max);
    if (most === 0) return [];
    const deliveries = await this.take(most, wait);
    const bad = deliveries.findIndex((delivery) => 'error' in delivery.item);
    // The unreadable one comes alone, so that those before it are not lost with its error.
    const good = bad === -1 ? deliveries : deliveries.slice(0, Math.max(bad, 1));
    for (const delivery of deliveries.slice(good.length)) void delivery.release();
    for (const delivery of good) delivery.acknowledge();
    return good.map((delivery) => valueOf<T>(delivery));
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    const wait = readWait(options);
    const held = (await this.take(1, wait))[0]!;
    if ('error' in held.item) held.acknowledge();
    const item = valueOf<T>(held);
    this.leases.add(held);
    const end = (how: 'ack' | 'release') => async (): Promise<void> => {
      if (this.leases.delete(held)) await held[how]();
    };
    const release = end('release');
    return { item, deliveries: held.deliveries, crashes: 0, ack: end('ack'), release, [asyncDispose]: release };
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async qsize(): Promise<number> {
    return (await (await this.backend()).state()).qsize;
  }

  /** Items on lease count: they may come back. */
  override async full(): Promise<boolean> {
    const { maxsize, qsize, leased } = await (await this.backend()).state();
    return maxsize > 0 && qsize + leased >= maxsize;
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    await (await this.backend()).shutdown(readShutdown(options));
    this.tellEnd(new QueueShutDownError('The queue was shut down and takes no more items.'));
  }

  override close(): Promise<void> {
    this.closing ??= (async () => {
      const backend = await this.attaching?.catch(() => undefined);
      this.leases.clear();
      await backend?.close();
      await this.client.close();
    })();
    this.tellEnd(new QueueClosedError());
    return this.closing;
  }

  override async stats(): Promise<RayQueueStats> {
    const backend = await this.backend();
    const { queueId, queueType } = this.descriptor;
    return { queueId, queueType, ...(await backend.state()), promises: backend.promises };
  }
}

function valueOf<T>(delivery: Delivery): T {
  if ('error' in delivery.item) throw delivery.item.error;
  return delivery.item.value as T;
}

/** Connecting takes its own time; a wait's clock starts behind it, but its signal counts from the beginning. */
function untilAborted<V>(promise: Promise<V>, wait: Wait): Promise<V> {
  const { signal } = wait;
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const ignore = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(ignore);
  });
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
