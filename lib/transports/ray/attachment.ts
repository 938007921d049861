/** What a handle has of its queue: the actor of that name, found or made, and how items go in and out of it. */
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { readReplyId } from '../../descriptor/reply-descriptor';
import { ConfigMismatchError, QueueClosedError, QueueExistsError, QueueNotFoundError } from '../../errors';
import type { ResolveOptions } from '../../queue/types';
import { untilAborted } from '../../wait/abort-listeners';
import { answerWithin, deadlineOf, restOf } from '../../wait/deadline';
import type { Wait } from '../../wait/options';
import type { Backend } from './actor/backend';
import { ForeignBackend } from './actor/foreign-backend';
import { QueueActorBackend } from './actor/queue-actor-backend';
import { unanswered } from './actor/pending-call';
import { QUEUE_ACTOR_NAME, QUEUE_ACTOR_SOURCE } from './actor/queue-actor-source';
import { type RayActor, RayClient } from './client/ray-client';
import { RayTaskError } from './errors';

const DEFAULT_LEASE_MS = 20_000;
/**
 * How long a broken connection is waited for. When the server's process of this client dies, Ray says so only after this time.
 * Short, because a queue loses nothing with a session; `ActorSession` goes on trying for new ones.
 */
const GRACE_MS = 5000;
/** How long an actor that is being made may take: a Python process has to start for it. */
const MAKING_MS = 10_000;

/** What the descriptor says of the actor. */
export interface AskedActor {
  name: string;
  /** Whether it is made as a queue when there is none. */
  mayCreate: boolean;
}

export class Attachment {
  private readonly client: RayClient;
  private attaching: Promise<Backend> | undefined;
  /** What `attaching` came to. */
  private attached: Backend | undefined;
  /** An actor is being made: a Python process has to start. */
  private making = false;
  private readonly leaving = new AbortController();
  /** It had its queue once: 'exclusive' was about the first. */
  private hadQueue = false;
  private foundMaxsize: number | undefined;
  /** An actor that this handle made for itself alone, and that ends with it. */
  private own: RayActor | undefined;

  constructor(
    private readonly descriptor: QueueDescriptor,
    private readonly options: ResolveOptions,
    private readonly answerMs: number,
    /** @throws QueueConnectionError for a descriptor that names none */
    private readonly askedActor: () => AskedActor,
  ) {
    const { address, namespace } = descriptor.metadata;
    this.client = new RayClient({
      address: typeof address === 'string' ? address : undefined,
      namespace: typeof namespace === 'string' ? namespace : undefined,
      credentials: options.credentials,
      graceMs: GRACE_MS,
    });
  }

  get actorName(): string {
    return this.askedActor().name;
  }

  private get askedMaxsize(): number {
    const { maxsize } = this.descriptor.metadata;
    return typeof maxsize === 'number' ? maxsize : 0;
  }

  /** As the actor has it, once it is known. */
  get maxsize(): number {
    return this.foundMaxsize ?? this.askedMaxsize;
  }

  get isLeaving(): boolean {
    return this.leaving.signal.aborted;
  }

  private backend(): Promise<Backend> {
    if (this.attaching === undefined) {
      const attaching = this.attach();
      this.attaching = attaching;
      attaching.then(
        (backend) => {
          if (this.attaching !== attaching || this.isLeaving) return backend.forget();
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
  async ready(what: string, wait: Wait): Promise<[Backend, Wait]> {
    if (this.isLeaving) throw new QueueClosedError();
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

  /** Its actor has died: the next call attaches anew. */
  lose(backend: Backend): void {
    if (this.attached !== backend) return;
    this.attached = this.attaching = undefined;
    backend.forget();
  }

  /** Calls that wait to attach fail from now on. */
  leave(): void {
    this.leaving.abort(new QueueClosedError());
  }

  /** Returns also when the cluster or the actor is silent. */
  async close(): Promise<void> {
    await this.attached?.close();
    await this.endOwn();
    await this.client.close();
  }

  private async endOwn(): Promise<void> {
    if (this.own === undefined) return;
    const ending = this.client.kill(this.own);
    // Where nobody answers it ends with the session.
    await answerWithin(this.answerMs, ending, () => unanswered('close', this.answerMs)).catch(() => {});
  }

  private async attach(): Promise<Backend> {
    const { name, mayCreate } = this.askedActor();
    const { create: asked = 'if-missing' } = this.options;
    const create = asked === 'exclusive' && this.hadQueue ? 'if-missing' : asked;
    const where = `in namespace '${this.client.namespace}' of ${this.client.address}`;
    const existing = await this.client.getActor(name);
    if (existing !== undefined) {
      if (create === 'exclusive')
        throw new QueueExistsError(`An actor named '${name}' exists already ${where}, and create is 'exclusive'.`);
      return this.checked(await this.backendOf(existing));
    }
    if (create === 'never' || !mayCreate) {
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
      const isForReplies = readReplyId(name) !== undefined;
      const lifetime = isForReplies ? 'non_detached' : 'detached';
      const options = { name, lifetime, getIfExists: !exclusive } as const;
      const actor = await this.client.createActor(actorClass, [this.askedMaxsize], {}, options);
      if (isForReplies) this.own = actor;
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
    const leased = new QueueActorBackend(
      this.client,
      actor,
      typeof leaseMs === 'number' && leaseMs > 0 ? leaseMs : DEFAULT_LEASE_MS,
      this.answerMs,
    );
    try {
      this.foundMaxsize = await leased.attach();
      return leased;
    } catch (error) {
      if (!(error instanceof RayTaskError) || error.pythonType !== 'builtins.AttributeError') throw error;
    }
    const plain = await ForeignBackend.attach(this.client, actor, this.answerMs);
    this.foundMaxsize = plain.maxsize ?? this.askedMaxsize;
    return plain;
  }

  private checked(backend: Backend): Backend {
    const asked = this.askedMaxsize;
    const found = this.foundMaxsize;
    if (asked === 0 || found === undefined || asked === found) return backend;
    void backend.close();
    throw new ConfigMismatchError(
      `The queue '${this.actorName}' exists with maxsize ${found}; the descriptor asks for ${asked}. Ask for the same, or leave maxsize out to take it as it is.`,
    );
  }
}
