/** Actors, objects and calls of a Ray cluster, from Node. */
import { refuseUnknown } from '../../../util/known-options';
import { QueueConnectionError } from '../../../errors';
import type { Datapath } from './data-stream';
import { RayActorDiedError, RaySessionLostError, RayTaskError } from '../errors';
import { PyDict, PyGlobal, PyObject, PyPersistent, PyTuple } from '../pickle/types';
import { writePickle } from '../pickle/write';
import { decodeResult, definitionPickle, encode, errorOf, objectIn, pickleArguments } from './pickled-calls';
import type { ActorClass, Kwargs } from './pickled-calls';
import { type RayClientOptions, Session } from './session';
import { decodeNamedActors, decodePut, decodeTerminate, decodeTicket, encodeListNamedActors, encodePut } from './wire';
import { encodeRelease, encodeTask, encodeTerminateActor, TASK, type Task } from './wire';

/** What an actor is made with. */
export interface ActorOptions {
  /** To be found by others; without, the reference alone leads to it. */
  name?: string;
  /** Of the name. Default: the client's. */
  namespace?: string;
  /** An actor without a name ends with the session; a named one outlives it when 'detached'. Default: detached when named. */
  lifetime?: 'detached' | 'non_detached';
  /** Attach to the actor of that name when there is one. */
  getIfExists?: boolean;
  /** Default 0: a queue does not compute. */
  numCpus?: number;
  /** Calls under way at once in an actor with async methods. Default 1000. */
  maxConcurrency?: number;
  /** How often Ray starts it again after it died. Default: Ray's own. */
  maxRestarts?: number;
}

const ACTOR_OPTIONS: readonly (keyof ActorOptions)[] = [
  ...(['name', 'namespace', 'lifetime', 'getIfExists', 'numCpus', 'maxConcurrency', 'maxRestarts'] as const),
];

/** A value in the cluster's object store. Gone when it is released or the session ends. */
export class RayObjectRef {
  /** @internal */
  constructor(
    /** What the cluster knows the object by. */
    readonly id: Buffer,
    /** @internal */
    readonly generation: number,
  ) {}
}

/** An actor as this client reaches it. A named one is looked up again after a lost session. */
export class RayActor {
  /** @internal */
  ids = new Map<number, Promise<Buffer>>();

  /** @internal */
  constructor(
    /** Undefined for one without a name. */
    readonly name: string | undefined,
    /** Of the name. */
    readonly namespace: string | undefined,
    generation: number,
    id: Buffer,
  ) {
    this.ids.set(generation, Promise.resolve(id));
  }
}

const RELEASE_AT_ONCE_BYTES = 1024 * 1024;
const RELEASE_BATCH = 64;
const RELEASE_AFTER_MS = 100;

/** A session on a Ray cluster, over the Ray Client protocol. */
export class RayClient {
  private readonly session: Session;
  private closed: Promise<void> | undefined;
  private releasing: Buffer[] = [];
  private releaseTimer: NodeJS.Timeout | undefined;

  /** Connects when it is first used. `RayClient.connect` also waits for that. */
  constructor(options: RayClientOptions = {}) {
    this.session = Session.acquire(options);
  }

  /** @throws QueueConnectionError naming what is wrong: the address, the port, the token, the version. */
  static async connect(options: RayClientOptions = {}): Promise<RayClient> {
    const client = new RayClient(options);
    try {
      await client.session.connected();
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** Where names of actors are looked up and made. */
  get namespace(): string {
    return this.session.namespace;
  }

  /** `ray://host:port` of the cluster. */
  get address(): string {
    return `ray://${this.session.target}`;
  }

  /** Versions of the cluster, once connected. */
  get versions(): { ray: string; python: string } | undefined {
    const { info } = this.session;
    return info && { ray: info.rayVersion, python: info.pythonVersion };
  }

  /** Which session this is, counted from 1; 0 before the first. */
  get generation(): number {
    return this.session.generation;
  }

  /** @internal */
  connected(): Promise<Datapath> {
    if (this.closed !== undefined) return Promise.reject(new QueueConnectionError('This RayClient was closed.'));
    return this.session.connected();
  }

  /** Undefined when there is no actor of that name in that namespace. */
  async getActor(name: string, options: { namespace?: string } = {}): Promise<RayActor | undefined> {
    refuseUnknown(options, ['namespace']);
    const datapath = await this.connected();
    const id = await this.lookUp(datapath, name, options.namespace);
    return id && new RayActor(name, options.namespace, this.generation, id);
  }

  private async lookUp(datapath: Datapath, name: string, namespace: string | undefined): Promise<Buffer | undefined> {
    try {
      return await this.ticket(datapath, {
        type: TASK.namedActor,
        name,
        namespace: namespace ?? '',
        data: pickleArguments([], {}),
      });
    } catch (error) {
      if (error instanceof RayTaskError && error.pythonType === 'builtins.ValueError') return undefined;
      throw error;
    }
  }

  /** @throws RayTaskError (`ray.exceptions.ActorAlreadyExistsError`) when the name is taken and `getIfExists` is not set. */
  async createActor(
    actorClass: ActorClass,
    args: readonly unknown[] = [],
    kwargs: Kwargs = {},
    options: ActorOptions = {},
  ): Promise<RayActor> {
    refuseUnknown(options, ACTOR_OPTIONS);
    const datapath = await this.connected();
    const { generation } = this;
    const payloadId = await this.store(datapath, definitionPickle(actorClass));
    const pickledOptions = writePickle({
      num_cpus: options.numCpus ?? 0,
      max_concurrency: options.maxConcurrency ?? 1000,
      ...(options.name !== undefined && { name: options.name, lifetime: options.lifetime ?? 'detached' }),
      ...(options.namespace !== undefined && { namespace: options.namespace }),
      ...(options.getIfExists && { get_if_exists: true }),
      ...(options.maxRestarts !== undefined && { max_restarts: options.maxRestarts }),
    });
    const data = pickleArguments(args, kwargs);
    const id = await this.ticket(datapath, {
      type: TASK.actor,
      name: actorClass.name,
      payloadId,
      options: pickledOptions,
      data,
    });
    this.release(datapath, payloadId, 0);
    return new RayActor(options.name, options.namespace, generation, id);
  }

  /**
   * Calls a method and waits for its result.
   * @throws RayTaskError what the method raised; RayActorDiedError; RaySessionLostError when it is not known whether it ran.
   */
  async call(actor: RayActor, method: string, args: readonly unknown[] = [], kwargs: Kwargs = {}): Promise<unknown> {
    return decodeResult(await this.callRaw(actor, method, args, kwargs));
  }

  /** As `call`, but the result is the pickle's bytes. @internal */
  async callRaw(actor: RayActor, method: string, args: readonly unknown[], kwargs: Kwargs = {}): Promise<Buffer> {
    const data = pickleArguments(args, kwargs);
    const datapath = await this.connected();
    const payloadId = await this.idOf(datapath, actor);
    const result = await this.ticket(datapath, { type: TASK.method, name: method, payloadId, data });
    return this.fetch(datapath, result);
  }

  /**
   * Starts a Ray task: a Python function that runs somewhere on the cluster. Its outcome is what `get` of the reference gives.
   * @internal
   */
  async startTask(
    pythonFunction: ActorClass,
    args: readonly unknown[] = [],
    options: { numCpus?: number } = {},
  ): Promise<RayObjectRef> {
    const data = pickleArguments(args, {});
    const datapath = await this.connected();
    const { generation } = this;
    const payloadId = await this.store(datapath, definitionPickle(pythonFunction));
    const id = await this.ticket(datapath, {
      type: TASK.function,
      name: pythonFunction.name,
      payloadId,
      options: writePickle({ num_cpus: options.numCpus ?? 1 }),
      data,
    });
    return new RayObjectRef(id, generation);
  }

  /** Calls `function(actor, *args)` inside the actor, whatever methods its class has. The source is a Python expression. */
  async callExpression(actor: RayActor, source: string, args: readonly unknown[] = []): Promise<unknown> {
    const evaluated = new PyObject(
      'reduce',
      new PyGlobal('builtins', 'eval'),
      new PyTuple([source, new PyDict([['__name__', '__main__']])]),
    );
    try {
      return await this.call(actor, '__ray_call__', [evaluated, ...args]);
    } catch (error) {
      throw error instanceof RayTaskError ? error.calledAs('The expression') : error;
    }
  }

  private async idOf(datapath: Datapath, actor: RayActor): Promise<Buffer> {
    const { generation } = this;
    let id = actor.ids.get(generation);
    if (id === undefined) {
      if (actor.name === undefined)
        throw new RaySessionLostError('The session that this actor without a name belonged to is lost.');
      const { name, namespace } = actor;
      id = this.lookUp(datapath, name, namespace).then((found) => {
        if (found === undefined)
          throw new RayActorDiedError(
            `There is no longer an actor named '${name}': it was killed, or the cluster was started anew.`,
          );
        return found;
      });
      actor.ids.set(generation, id);
      id.catch(() => actor.ids.delete(generation));
    }
    return id;
  }

  /** Stores a value on the cluster. */
  async put(value: unknown): Promise<RayObjectRef> {
    const data = encode(value);
    const datapath = await this.connected();
    const { generation } = this;
    return new RayObjectRef(await this.store(datapath, data), generation);
  }

  /**
   * The value of a reference, which stays valid: one that `put` gave, or one that came inside an item or a result. A reference belongs to the
   * session that it came through, which may be that of a queue of this process.
   * @throws RaySessionLostError when that session is over; TypeError for what is no reference to an object
   */
  async get(ref: RayObjectRef | PyPersistent): Promise<unknown> {
    const { datapath, id } = await this.located(ref);
    const { valid, data } = await datapath.fetch(id);
    if (!valid) throw errorOf(data);
    return decodeResult(data);
  }

  /** Lets go of an object: the cluster may forget it. */
  async free(ref: RayObjectRef | PyPersistent): Promise<void> {
    try {
      const { datapath, id } = await this.located(ref);
      await datapath.request('release', encodeRelease([id]));
    } catch (error) {
      // It is gone with its session.
      if (!(error instanceof RaySessionLostError)) throw error;
    }
  }

  private async located(ref: RayObjectRef | PyPersistent): Promise<{ datapath: Datapath; id: Uint8Array }> {
    const lost = 'The session that this object belonged to is lost.';
    if (ref instanceof PyPersistent) {
      const { clientId, id } = objectIn(ref);
      const datapath = await Session.datapathOf(clientId);
      if (datapath === undefined) throw new RaySessionLostError(lost);
      return { datapath, id };
    }
    const datapath = await this.connected();
    if (ref.generation !== this.generation) throw new RaySessionLostError(lost);
    return { datapath, id: ref.id };
  }

  /**
   * Has an actor killed, whatever it is at. True: Ray was told so. The actor is dead some milliseconds later, and may answer calls until then.
   * False: it could not be.
   */
  async kill(actor: RayActor, options: { noRestart?: boolean } = {}): Promise<boolean> {
    refuseUnknown(options, ['noRestart']);
    const datapath = await this.connected();
    const id = await this.idOf(datapath, actor);
    const answer = await datapath.request(
      'terminate',
      encodeTerminateActor(datapath.clientId, id, options.noRestart ?? true),
    );
    return decodeTerminate(answer);
  }

  /** Names of actors that live, of this namespace or of all. */
  async listNamedActors(options: { allNamespaces?: boolean } = {}): Promise<{ name: string; namespace: string }[]> {
    refuseUnknown(options, ['allNamespaces']);
    const datapath = await this.connected();
    return decodeNamedActors(
      await datapath.request('listNamedActors', encodeListNamedActors(options.allNamespaces ?? false)),
      this.namespace,
    );
  }

  /** Lets go of the session, which ends with its last client. Idempotent. */
  close(): Promise<void> {
    this.closed ??= (async () => {
      clearTimeout(this.releaseTimer);
      await this.session.release();
    })();
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async ticket(datapath: Datapath, task: Omit<Task, 'clientId'>): Promise<Buffer> {
    const ticket = decodeTicket(await datapath.request('task', encodeTask({ ...task, clientId: datapath.clientId })));
    if (!ticket.valid) throw errorOf(ticket.error);
    return ticket.returnIds[0] ?? Buffer.alloc(0);
  }

  private async store(datapath: Datapath, data: Buffer): Promise<Buffer> {
    const answer = decodePut(await datapath.request('put', encodePut(data)));
    if (!answer.valid) throw errorOf(answer.error);
    return answer.id;
  }

  /** The pickled result; the reference to it is given back, else the server would keep the value for ever. */
  private async fetch(datapath: Datapath, id: Buffer): Promise<Buffer> {
    const { valid, data } = await datapath.fetch(id);
    this.release(datapath, id, data.length);
    if (!valid) throw errorOf(data);
    return data;
  }

  private release(datapath: Datapath, id: Buffer, bytes: number): void {
    this.releasing.push(id);
    const flush = (): void => {
      clearTimeout(this.releaseTimer);
      this.releaseTimer = undefined;
      const ids = this.releasing;
      this.releasing = [];
      // Ids of a session that ended meanwhile are gone with it.
      if (ids.length > 0 && !datapath.ended) datapath.request('release', encodeRelease(ids)).catch(() => {});
    };
    if (bytes >= RELEASE_AT_ONCE_BYTES || this.releasing.length >= RELEASE_BATCH) return flush();
    this.releaseTimer ??= setTimeout(flush, RELEASE_AFTER_MS).unref();
  }
}
