/**
 * A server that speaks as much of Ray Client as a queue needs, with actors in TypeScript that can be busy, silent, restarting or gone:
 * what a real cluster does only in its own time. The suites of test/ray-cluster ask the real one the same.
 */
import net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { Fields, fieldsOf, REQUEST } from '../../lib/transports/ray/client/wire';
import { parsePickle } from '../../lib/transports/ray/pickle/read';
import { PyDict, PyGlobal, PyList, PyObject, PyTuple } from '../../lib/transports/ray/pickle/types';
import { writePickle } from '../../lib/transports/ray/pickle/write';

/** Called with unconverted arguments. */
export type Methods = {
  [method: string]: (args: readonly unknown[], kwargs: ReadonlyMap<unknown, unknown>) => unknown;
};

/** What a method throws to be a Python exception. */
export class Raised extends Error {
  constructor(
    readonly module: string,
    readonly type: string,
    readonly text = '',
  ) {
    super(`${module}.${type}: ${text}`);
  }

  pickled(): Buffer {
    const cause = new PyObject('reduce', new PyGlobal(this.module, this.type), new PyTuple([this.text]));
    if (this.module === 'ray.exceptions') return writePickle(cause);
    const error = new PyGlobal('ray.exceptions', 'RayTaskError');
    return writePickle(new PyObject('reduce', error, new PyTuple(['Fake.method', this.message, cause])));
  }
}

interface Session {
  stream: grpc.ServerDuplexStream<Buffer, Buffer> | undefined;
  /** By request: the answer, or undefined while there is none. */
  readonly answers: Map<number, Buffer | undefined>;
  readonly results: Map<string, Promise<Buffer>>;
  /** Actors that end with it. */
  readonly actors: Set<string>;
}

const raw = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

function fields(message: Buffer): Map<number, { int: number; bytes: Buffer }> {
  const found = new Map<number, { int: number; bytes: Buffer }>();
  for (const { number, int, bytes } of fieldsOf(message)) found.set(number, { int, bytes });
  return found;
}

export class FakeRay {
  private server: grpc.Server | undefined;
  private port = 0;
  private sessions = new Map<string, Session>();
  private readonly sockets = new Set<net.Socket>();
  private made = 0;
  /** By name. A name that is gone has no actor. */
  readonly actors = new Map<string, Methods>();
  /** Makes what `createActor` asks for; undefined: nothing ever comes of it. */
  create: (maxsize: number) => Methods = () => ({});
  /** What ends the calls under way of an actor that dies. */
  private readonly underWay = new Map<string, Set<(death: Raised) => void>>();
  /** Sessions that were asked for since the server began to refuse them; undefined: it takes them. */
  refused: number | undefined;
  /** How many method calls came, by method. */
  readonly calls = new Map<string, number>();

  get address(): string {
    return `ray://127.0.0.1:${this.port}`;
  }

  /** On the port of before, if there was one. */
  async start(): Promise<this> {
    const server = new grpc.Server();
    server.addService(
      {
        ClusterInfo: { path: '/ray.rpc.RayletDriver/ClusterInfo', requestStream: false, responseStream: false, ...raw },
      },
      { ClusterInfo: (_: unknown, answer: grpc.sendUnaryData<Buffer>) => answer(null, Buffer.alloc(0)) },
    );
    server.addService(
      { Datapath: { path: '/ray.rpc.RayletDataStreamer/Datapath', requestStream: true, responseStream: true, ...raw } },
      { Datapath: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => this.accept(call) },
    );
    this.port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${this.port}`, grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    this.server = server;
    return this;
  }

  /** The connections break and none is taken, until start(). With `all`, the head has died: sessions and actors are gone too. */
  async stop({ all = true } = {}): Promise<void> {
    this.server?.forceShutdown();
    this.server = undefined;
    for (const session of this.sessions.values()) session.stream = undefined;
    if (!all) return;
    this.sessions = new Map();
    this.actors.clear();
  }

  /** With the calls under way of it. */
  kill(actor: string): void {
    this.actors.delete(actor);
    for (const end of this.underWay.get(actor) ?? []) end(died());
    this.underWay.delete(actor);
  }

  private accept(stream: grpc.ServerDuplexStream<Buffer, Buffer>): void {
    const client = String(stream.metadata.get('client_id')[0]);
    let session = this.sessions.get(client);
    stream.on('error', () => {});
    if (session === undefined) {
      if (String(stream.metadata.get('reconnecting')[0]) === 'True')
        return void stream.emit('error', { code: grpc.status.NOT_FOUND, details: 'no such session' });
      session = { stream: undefined, answers: new Map(), results: new Map(), actors: new Set() };
      this.sessions.set(client, session);
    }
    const mine = session;
    mine.stream = stream;
    stream.on('data', (message: Buffer) => this.request(mine, message));
    stream.on('end', () => {
      for (const actor of mine.actors) this.kill(actor);
      stream.end();
    });
  }

  private request(session: Session, message: Buffer): void {
    let reqId = 0;
    let kind = 0;
    let body: Buffer = Buffer.alloc(0);
    for (const field of fieldsOf(message)) {
      if (field.number === 1) reqId = field.int;
      else [kind, body] = [field.number, field.bytes];
    }
    const send = (answer: Buffer): void => {
      if (session.stream?.writable) session.stream.write(new Fields().int(1, reqId).bytes(kind, answer).finish());
    };
    if (kind === REQUEST.acknowledge) return;
    if (session.answers.has(reqId)) {
      const known = session.answers.get(reqId);
      if (known !== undefined) send(known);
      return;
    }
    session.answers.set(reqId, undefined);
    void this.answer(session, kind, Buffer.from(body)).then((answer) => {
      session.answers.set(reqId, answer);
      send(answer);
    });
  }

  private async answer(session: Session, kind: number, body: Buffer): Promise<Buffer> {
    switch (kind) {
      case REQUEST.init:
        if (this.refused !== undefined) {
          this.refused++;
          return new Fields().text(2, 'no process could be started').finish();
        }
        return new Fields().bool(1, true).finish();
      case REQUEST.connectionInfo:
        return new Fields().text(2, '2.58.0').text(4, '3.11.7').finish();
      case REQUEST.put:
        return new Fields().bytes(1, Buffer.from('class')).bool(2, true).finish();
      case REQUEST.task:
        return this.task(session, fields(body));
      case REQUEST.get: {
        const id = fields(body).get(4)!.bytes.toString();
        const data = await session.results.get(id)!;
        return new Fields().bool(1, true).bytes(2, data).int(5, 1).finish();
      }
      case REQUEST.listNamedActors:
        return new Fields().text(1, JSON.stringify([...this.actors.keys()])).finish();
      case REQUEST.terminate:
        this.kill(fields(fields(body).get(2)!.bytes).get(1)!.bytes.toString());
        return new Fields().bool(1, true).finish();
      default:
        return Buffer.alloc(0);
    }
  }

  private task(session: Session, task: ReturnType<typeof fields>): Buffer {
    const type = task.get(1)?.int ?? 0;
    const name = task.get(2)?.bytes.toString() ?? '';
    const [args, kwargs] = (parsePickle(task.get(10)!.bytes) as PyTuple).items as [PyList, PyDict];
    const ticket = (id: string): Buffer => new Fields().bool(1, true).bytes(2, Buffer.from(id)).finish();
    if (type === 4) {
      if (this.actors.has(name)) return ticket(name);
      return new Fields().bytes(3, new Raised('builtins', 'ValueError', 'Failed to look up actor').pickled()).finish();
    }
    if (type === 1) {
      const options = parsePickle(fields(task.get(7)!.bytes).get(1)!.bytes) as PyDict;
      const option = (name: string): unknown => options.entries.find(([key]) => key === name)?.[1];
      const actor = String(option('name'));
      if (!this.actors.has(actor)) this.actors.set(actor, this.create(Number(args.items[0])));
      if (option('lifetime') !== 'detached') session.actors.add(actor);
      return ticket(actor);
    }
    const id = `result-${this.made++}`;
    const actor = task.get(3)!.bytes.toString();
    session.results.set(id, this.run(actor, name, args.items, new Map(kwargs.entries)));
    return ticket(id);
  }

  private unlessItDies(actor: string, result: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ends = this.underWay.get(actor) ?? new Set();
      this.underWay.set(actor, ends.add(reject));
      Promise.resolve(result)
        .then(resolve, reject)
        .finally(() => ends.delete(reject));
    });
  }

  private async run(
    actor: string,
    method: string,
    args: readonly unknown[],
    kwargs: Map<unknown, unknown>,
  ): Promise<Buffer> {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
    try {
      const methods = this.actors.get(actor);
      if (methods === undefined) throw died();
      if (methods[method] === undefined)
        throw new Raised('builtins', 'AttributeError', `'Fake' object has no attribute '${method}'`);
      return writePickle(await this.unlessItDies(actor, methods[method](args, kwargs)));
    } catch (error) {
      if (error instanceof Raised) return error.pickled();
      throw error;
    }
  }
}

const died = (): Raised => new Raised('ray.exceptions', 'ActorDiedError', 'The actor died.');

/** Never answers. */
export const silence = (): Promise<never> => new Promise(() => {});
