/** One stream to a server, opened when it is needed and again when it breaks. Knows nothing of puts and gets. */
import type { Grpc } from '../wire/grpc';
import { loadGrpc } from '../wire/grpc';
import type { ConnectionFailure } from '../wire/errors';
import { describeStreamEnd, SAYS_NOTHING } from '../wire/errors';
import type { Endpoint } from '../wire/addresses';
import { attachMethod, PROTOCOL_VERSION } from '../wire/protocol';
import type { ClientFrame, Open, Opened, ServerFrame } from '../wire/protocol';
import { QueueConnectionError } from '../../../errors';
import { tlsNameFor } from '../../../util/tls';
import { whyRefused } from './probe';
import { proxyFor } from './proxy-environment';
import type { Remote } from './remote';
import { SocketRef, unwatchPort, watchPort } from './socket-ref';

const FIRST_BACKOFF_MS = 25;
const LAST_BACKOFF_MS = 1000;

/** What the connection asks of whoever uses it. */
export interface ConnectionEvents {
  openFrame(): Open;
  /** The stream is up. */
  onOpened(opened: Opened): void;
  onFrame(frame: ServerFrame): void;
  /** An attempt failed, or the stream broke where it `wasOpen`. Afterwards the connection tries again while `hasPending()`. */
  onDown(failure: ConnectionFailure, wasOpen: boolean): void;
  /** There is a stream, and something may be to be sent. */
  onFlush(): void;
  /** Whether anything waits for the server. */
  hasPending(): boolean;
  /** … and the process has to wait for it. */
  holdsProcess(): boolean;
}

type State = 'idle' | 'connecting' | 'open' | 'backing-off' | 'closed';

export class Connection {
  /** Why there is no stream at present, as far as known. */
  lastFailure: ConnectionFailure | undefined;
  /** By the program, for good. */
  closing = false;
  /** Whether waiting calls keep the process alive. */
  referenced = true;
  private readonly socketRef = new SocketRef();
  private events!: ConnectionEvents;
  private flushing = false;
  private state: State = 'idle';
  /** Of the endpoint that is tried now, or serves. */
  private current = 0;
  private client: Grpc.Client | undefined;
  private call: Grpc.ClientDuplexStream<ClientFrame, ServerFrame> | undefined;
  /** Attempts so far: what is found out about one is of no use to the next. */
  private attempts = 0;
  /** How many of the last ones were refused. */
  private refusals = 0;
  private backoffMs = FIRST_BACKOFF_MS;
  private backoff: NodeJS.Timeout | undefined;

  constructor(
    private readonly remote: Remote,
    /** How long a call that does not wait for the queue waits for the server. */
    readonly answerWithinMs: number,
  ) {}

  /** host:port, for messages. */
  get where(): string {
    return this.endpoint.where;
  }

  private get endpoint(): Endpoint {
    return this.remote.endpoints[this.current]!;
  }

  /** To be called once, before anything else. */
  listen(events: ConnectionEvents): void {
    this.events = events;
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  /** Nobody listens, at none of the addresses, as far as is known. */
  get isDeserted(): boolean {
    return this.refusals >= this.remote.endpoints.length;
  }

  /** Something is to be sent: connects if need be. What is called in one turn of the event loop travels in one frame. */
  scheduleFlush(): void {
    this.updateRef();
    if (this.state === 'idle') this.connect();
    if (this.state !== 'open' || this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      if (this.state === 'open') this.events.onFlush();
    });
  }

  /** The process stays alive for what waits here, unless told otherwise. */
  updateRef(): void {
    this.socketRef.set(this.referenced && this.events.holdsProcess());
  }

  /** @returns whether the frame was handed to the stream. */
  send(frame: ClientFrame): boolean {
    if (this.state !== 'open') return false;
    this.call!.write(frame);
    return true;
  }

  /** Leaves a server that is going down. What is wanted is sought at the same address again. */
  disconnect(error: QueueConnectionError): void {
    if (this.state !== 'open') return;
    this.drop('idle');
    this.fail({ error, permanent: false }, false);
  }

  /** Says good-bye if there is anybody to say it to. Resolves when the server has let go, or after `withinMs`. */
  async close(withinMs: number): Promise<void> {
    if (this.state === 'closed') return;
    const { call } = this;
    const polite = this.state === 'open';
    if (polite) call!.write({ close: true });
    this.drop('closed');
    if (polite) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        call!.once('status', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    call?.cancel();
    this.closeClient();
  }

  private closeClient(): void {
    if (this.client === undefined) return;
    this.client.close();
    this.client = undefined;
    unwatchPort(this.endpoint.port);
  }

  private drop(state: State): void {
    const { call } = this;
    this.state = state;
    this.call = undefined;
    clearTimeout(this.backoff);
    call?.end();
    this.socketRef.release();
  }

  private connect(): void {
    const grpc = loadGrpc();
    this.state = 'connecting';
    this.attempts++;
    this.client ??= this.makeClient(grpc);
    this.socketRef.seek();
    const metadata = new grpc.Metadata();
    if (this.remote.token !== undefined) metadata.set('authorization', `Bearer ${this.remote.token}`);
    const { path, requestSerialize, responseDeserialize } = attachMethod();
    const call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.call = call;
    call.on('data', (frame: ServerFrame) => {
      if (this.call === call) this.receive(frame);
    });
    call.on('status', (status: Grpc.StatusObject) => {
      if (this.call === call) this.ended(status.code === grpc.status.OK ? undefined : status);
    });
    // The status says the same; without a listener the error would be thrown.
    call.on('error', () => {});
    call.write({ open: this.events.openFrame() });
  }

  private makeClient(grpc: typeof Grpc): Grpc.Client {
    watchPort(this.endpoint.port);
    return new grpc.Client(this.endpoint.target, this.remote.credentials, {
      'grpc.enable_http_proxy': proxyFor(this.endpoint) === undefined ? 0 : 1,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': FIRST_BACKOFF_MS,
      'grpc.max_reconnect_backoff_ms': LAST_BACKOFF_MS,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc-node.flow_control_window': 4 * 1024 * 1024,
      ...tlsNameFor(this.endpoint.host),
    });
  }

  private receive(frame: ServerFrame): void {
    if (this.state !== 'connecting') {
      // That a stream opens is no progress: what it carries may be what breaks it.
      this.backoffMs = FIRST_BACKOFF_MS;
      return this.events.onFrame(frame);
    }
    const { opened } = frame;
    if (!opened || opened.protocolVersion !== PROTOCOL_VERSION) {
      const found = opened ? `version ${opened.protocolVersion}` : 'a frame that is not `opened`';
      return this.refuse(
        new QueueConnectionError(
          `the server at ${this.where} answered with ${found} of the protocol; this client speaks version ${PROTOCOL_VERSION}. Use matching releases of sage-queue`,
        ),
      );
    }
    this.state = 'open';
    this.socketRef.attach(this.call!.getPeer());
    this.lastFailure = undefined;
    this.refusals = 0;
    this.events.onOpened(opened);
  }

  private refuse(error: QueueConnectionError): void {
    this.drop('idle');
    this.fail({ error, permanent: true }, false);
  }

  private ended(status: Grpc.StatusObject | undefined): void {
    if (this.state === 'open' || status === undefined || !SAYS_NOTHING.test(status.details) || proxyFor(this.endpoint))
      return this.over(status);
    this.call = undefined;
    const { attempts } = this;
    void whyRefused(this.endpoint, this.remote.tls).then((reason) => {
      if (this.state !== 'connecting' || attempts !== this.attempts) return;
      this.over(reason === undefined ? status : { ...status, details: reason });
    });
  }

  private over(status: Grpc.StatusObject | undefined): void {
    const opened = this.state === 'open';
    this.drop('idle');
    const failure = describeStreamEnd(this.where, this.remote.queueId, status, loadGrpc(), proxyFor(this.endpoint));
    // One that does not serve gives way to the next.
    if (!opened && this.remote.endpoints.length > 1) {
      this.closeClient();
      this.current = (this.current + 1) % this.remote.endpoints.length;
    }
    this.fail(failure, opened);
  }

  private fail(failure: ConnectionFailure, wasOpen: boolean): void {
    this.lastFailure = failure;
    this.refusals = failure.refused === true ? this.refusals + 1 : 0;
    this.events.onDown(failure, wasOpen);
    if (this.state !== 'idle' || !this.events.hasPending()) return;
    this.state = 'backing-off';
    // Full jitter, so that clients of a restarted server do not come back in step.
    const delay = this.backoffMs * (0.5 + Math.random() / 2);
    this.backoffMs = Math.min(this.backoffMs * 2, LAST_BACKOFF_MS);
    this.backoff = setTimeout(() => {
      this.state = 'idle';
      if (this.events.hasPending()) this.connect();
    }, delay);
    if (!this.socketRef.held) this.backoff.unref();
  }
}
