/**
 * gRPC's streams in memory, on a virtual loop: what a client of queues sees of a server that is slow, cut off, refuses, dies or comes back
 * as another. Frames go through their wire form. As over TCP, those of one direction come whole and in order, up to where the connection breaks.
 */
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type * as Grpc from '@grpc/grpc-js';
import { attachMethod } from '../../lib/transports/rpc/wire/protocol';
import type { ClientFrame, ServerFrame } from '../../lib/transports/rpc/wire/protocol';
import type { Call } from '../../lib/server/session';
import type { VirtualLoop } from './virtual-clock';

type Status = Pick<Grpc.StatusObject, 'code' | 'details' | 'metadata'>;
/** Takes a stream that a client has opened. */
export type Listener = (call: Call) => void;

/** From here on the package's gRPC has no connections but these. @returns it */
export function simulateGrpc(): typeof Grpc {
  const load = createRequire(__filename);
  const place = load.resolve('@grpc/grpc-js');
  const grpc = { ...(load(place) as typeof Grpc), Client: SimulatedClient } as unknown as typeof Grpc;
  load.cache[place]!.exports = grpc;
  return grpc;
}

let network: Network | undefined;
const onlyNetwork = (only: Network): void => {
  network = only;
};

export class Network {
  /** Nobody: connections are refused. */
  listener: Listener | undefined;
  private readonly links = new Set<Link>();

  constructor(
    readonly loop: VirtualLoop,
    readonly grpc: typeof Grpc,
    /** How long a frame is on its way; asked for each. */
    readonly delayMs: () => number,
    /** Whether a frame fills the stream, so that its sender is told to wait. */
    readonly isCongested: () => boolean,
  ) {
    onlyNetwork(this);
  }

  /** The stream of the client that goes to this port. */
  linkTo(port: number): Link | undefined {
    for (const link of this.links) if (link.port === port) return link;
    return undefined;
  }

  opened(link: Link): void {
    this.links.add(link);
  }

  over(link: Link): void {
    this.links.delete(link);
  }

  /** All connections break at once, as when the process dies: nothing it wrote goes out any more, and it hears nothing. */
  killListener(): void {
    this.listener = undefined;
    for (const link of [...this.links]) link.breakOff({ isServerDead: true });
  }
}

class SimulatedClient {
  constructor(
    readonly target: string,
    _credentials: unknown,
    _options: unknown,
  ) {}

  makeBidiStreamRequest(
    _path: string,
    _serialize: unknown,
    _deserialize: unknown,
    metadata: Grpc.Metadata,
  ): Grpc.ClientDuplexStream<ClientFrame, ServerFrame> {
    const port = Number(/\d+$/.exec(this.target)![0]);
    return new Link(network!, port, metadata).client as unknown as Grpc.ClientDuplexStream<ClientFrame, ServerFrame>;
  }

  close(): void {}
}

/** Frames of one direction, each not before the one before it. */
class Direction {
  /** On their way. */
  count = 0;
  private last = 0;
  private isCut = false;

  constructor(private readonly network: Network) {}

  send(arrived: () => void): void {
    const { loop, delayMs } = this.network;
    this.count++;
    this.last = Math.max(this.last, loop.now + delayMs());
    loop.arrive(this.last, () => {
      this.count--;
      if (!this.isCut) arrived();
    });
  }

  /** What is on its way does not arrive. */
  cut(): void {
    this.isCut = true;
  }
}

/** One stream. */
export class Link {
  readonly client = new ClientSide(this);
  private server: ServerSide | undefined;
  private readonly up: Direction;
  private readonly down: Direction;
  /** Nothing is sent any more. */
  private isOver = false;
  private isServerDead = false;

  constructor(
    private readonly network: Network,
    readonly port: number,
    metadata: Grpc.Metadata,
  ) {
    this.up = new Direction(network);
    this.down = new Direction(network);
    network.opened(this);
    this.up.send(() => this.connect(metadata));
  }

  /** Frames of the client that the server has not seen. */
  get unseen(): number {
    return this.up.count + (this.server?.held ?? 0);
  }

  get isUp(): boolean {
    return this.server !== undefined && !this.isOver;
  }

  private connect(metadata: Grpc.Metadata): void {
    const { listener } = this.network;
    if (listener === undefined) {
      const details = 'No connection established. Last error: connect ECONNREFUSED';
      return this.end({ code: this.network.grpc.status.UNAVAILABLE, details, metadata: this.noMetadata });
    }
    this.server = new ServerSide(this, metadata);
    listener(this.server as unknown as Call);
  }

  private get noMetadata(): Grpc.Metadata {
    return new this.network.grpc.Metadata();
  }

  fromClient(frame: ClientFrame): void {
    if (this.isOver) return;
    const { requestSerialize, requestDeserialize } = attachMethod();
    const bytes = requestSerialize(frame);
    this.up.send(() => this.server?.receive(requestDeserialize(bytes)));
  }

  clientEnds(): void {
    if (!this.isOver) this.up.send(() => this.server?.ended());
  }

  clientCancels(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.network.over(this);
    this.up.send(() => this.server?.emit('cancelled'));
  }

  /** @returns whether more may be written at once */
  fromServer(frame: ServerFrame): boolean {
    if (this.isOver || this.isServerDead) return true;
    const { responseSerialize, responseDeserialize } = attachMethod();
    const bytes = responseSerialize(frame);
    const isCongested = this.network.isCongested();
    this.down.send(() => {
      this.client.emit('data', responseDeserialize(bytes));
      if (isCongested) this.server?.emit('drain');
    });
    return !isCongested;
  }

  /** The stream's end, by its server. */
  end(status: Status): void {
    if (this.isOver || this.isServerDead) return;
    this.isOver = true;
    this.network.over(this);
    this.down.send(() => this.client.emit('status', status));
  }

  /** The connection breaks. @param isLost also what is on its way; @param hearsAfterMs when the server finds out; @param clientHearsAfterMs when the client does */
  breakOff({ isLost = true, hearsAfterMs = 0, clientHearsAfterMs = 0, isServerDead = false } = {}): void {
    if (this.isOver) return;
    if (isLost) {
      this.up.cut();
      this.down.cut();
    }
    this.isOver = true;
    this.isServerDead = isServerDead;
    this.network.over(this);
    const { loop, delayMs, grpc } = this.network;
    const { server, noMetadata } = this;
    if (isServerDead) server?.die();
    else if (server !== undefined)
      loop.arrive(loop.now + delayMs() + hearsAfterMs, () => {
        server.emit('drain');
        server.emit('cancelled');
      });
    const broken = (): void => {
      const status = { code: grpc.status.UNAVAILABLE, details: 'read ECONNRESET', metadata: noMetadata };
      this.client.emit('status', status);
    };
    loop.arrive(loop.now + delayMs() + clientHearsAfterMs, broken);
  }
}

class ClientSide extends EventEmitter {
  constructor(private readonly link: Link) {
    super();
  }

  getPeer(): string {
    return '127.0.0.1:1';
  }

  write(frame: ClientFrame): void {
    this.link.fromClient(frame);
  }

  end(): void {
    this.link.clientEnds();
  }

  cancel(): void {
    this.link.clientCancels();
  }
}

class ServerSide extends EventEmitter {
  private readonly frames: (() => void)[] = [];
  private isPaused = false;
  private isDead = false;

  constructor(
    private readonly link: Link,
    readonly metadata: Grpc.Metadata,
  ) {
    super();
  }

  get held(): number {
    return this.frames.length;
  }

  receive(frame: ClientFrame): void {
    this.take(() => this.emit('data', frame));
  }

  ended(): void {
    this.take(() => this.emit('end'));
  }

  private take(event: () => void): void {
    if (this.isPaused) this.frames.push(event);
    else event();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    while (!this.isPaused && this.frames.length > 0) this.frames.shift()!();
  }

  /** Nothing comes from it and reaches it any more; that it is told lets what is left of it in this process come to an end. */
  die(): void {
    this.frames.length = 0;
    this.emit('cancelled');
    this.isDead = true;
  }

  write(frame: ServerFrame): boolean {
    return this.link.fromServer(frame);
  }

  end(): void {
    this.link.end({ code: 0, details: '', metadata: this.metadata });
  }

  /** As gRPC does it, an error of a server's stream is its status. */
  override emit(event: string, ...given: unknown[]): boolean {
    if (this.isDead) return false;
    if (event === 'error') this.link.end(given[0] as Status);
    return super.emit(event, ...given);
  }
}
