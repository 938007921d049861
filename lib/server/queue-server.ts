import { randomBytes } from 'node:crypto';
import type { Http2Server } from 'node:http2';
import type { Socket } from 'node:net';
import type { QueueDescriptor } from '../descriptor/descriptor';
import { QueueConnectionError } from '../errors';
import { givenOptions } from '../descriptor/normalize-options';
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';
import { readMilliseconds } from '../wait/options';
import type { QueueLike } from '../queue/types';
import { pem, withCertificates } from '../util/tls';
import { isLoopback } from '../transports/rpc/wire/addresses';
import type { Grpc } from '../transports/rpc/wire/grpc';
import { loadGrpc } from '../transports/rpc/wire/grpc';
import { attachMethod, BUSY, CODE_HEADER, FRAME_OVERHEAD_BYTES, STOPPING } from '../transports/rpc/wire/protocol';
import { Access } from './access';
import type { TokenRights } from './access';
import { Health } from './health';
import { Listener } from './listener';
import { addReflection } from './reflection';
import { isDescriptor, isQueueLike, ServedQueues } from './served-queues';
import { Session, WINDOW_BYTES } from './session';
import type { Call, SessionHost } from './session';

const SERVICE = 'sagequeue.v1.QueueService';
const DEFAULT_MESSAGE_BYTES = 32 * 1024 * 1024;
const DEFAULT_GRACE_MS = 5000;
const DEFAULT_REATTACH_MS = 3000;
const SWEEP_MS = 10_000;
const SERVER_OPTIONS = [
  ...(['host', 'port', 'tls', 'token', 'tokens', 'allowPlaintextBeyondLoopback'] as const),
  ...(['maxMessageBytes', 'maxStreams', 'maxConnections', 'rememberMs', 'reattachMs', 'queues'] as const),
];
const TLS_OPTIONS = ['cert', 'key', 'clientCa'];

/** What `new QueueServer` takes. */
export interface QueueServerOptions {
  /** Name or address to listen on, or a socket of this machine (unix:/path). Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free one; start() tells which. */
  port?: number;
  /** PEM texts or paths of files that hold them. With `clientCa` a client has to show a certificate signed by it. */
  tls?: { cert: string; key: string; clientCa?: string };
  /** What clients have to send as `authorization: Bearer …`. Compared in constant time, never logged. */
  token?: string;
  /** The same with several tokens, each with the queues and calls it may use. */
  tokens?: readonly TokenRights[];
  /** Without it, an address other than loopback needs tls. */
  allowPlaintextBeyondLoopback?: boolean;
  /** Longest encoded item. Default 32 MiB. */
  maxMessageBytes?: number;
  /** Handles open at one time, over all connections. Default 10 000. */
  maxStreams?: number;
  /** Default 10 000. */
  maxConnections?: number;
  /** How long a client that lost its connection is remembered, so that nothing it sends again is applied twice. Default 5 minutes. */
  rememberMs?: number;
  /**
   * How long what the program of a client may have seen, and has not confirmed, is kept for it when its connection breaks. If it is not back by
   * then, that goes back to the queue. Default 3 seconds, and no longer than `rememberMs`.
   */
  reattachMs?: number;
  /** What a client may open by queue_id: named queues, or a function. Nothing else is reachable. */
  queues?: Record<string, QueueDescriptor | QueueLike> | ((queueId: string) => QueueDescriptor | undefined);
}

/**
 * Puts queues of this process behind a port, for clients of type `rpc`. Queues given by descriptor are opened when the first client
 * asks for them and closed at stop(), those of a function once they are empty and have not been used for `rememberMs`; queues given as objects stay their maker's.
 *
 * @example
 * const server = new QueueServer({ queues: { jobs: QueueDescriptor.createSageQueue('jobs') } });
 * const { port } = await server.start();
 */
export class QueueServer {
  private readonly options: QueueServerOptions;
  private readonly host: SessionHost;
  private readonly sessions = new Set<Session>();
  private readonly served: ServedQueues;
  private readonly health = new Health([SERVICE]);
  private access: Access;
  private grpcServer: Grpc.Server | undefined;
  private injector: ReturnType<Grpc.Server['createConnectionInjector']> | undefined;
  private listener: Listener | undefined;
  private sweeper: NodeJS.Timeout | undefined;
  private starting: Promise<unknown> | undefined;
  private stopping: Promise<void> | undefined;

  /** @throws RangeError for a limit that is not a positive whole number, TypeError for other options that are not what they should be */
  constructor(given?: QueueServerOptions) {
    this.options = givenOptions(given, SERVER_OPTIONS, (message) => new TypeError(message));
    const { options } = this;
    const { host, token, tokens, queues } = options;
    if (typeof options.tls === 'object' && options.tls !== null) refuseUnknown(options.tls, TLS_OPTIONS);
    if (host !== undefined && typeof host !== 'string')
      throw new TypeError(`host must be a name or an address, found ${describeValue(host)}`);
    if (token !== undefined && tokens !== undefined) throw new TypeError('give token or tokens, not both');
    this.access = accessOf(options);
    if (
      queues !== undefined &&
      typeof queues !== 'function' &&
      (typeof queues !== 'object' || queues === null || Array.isArray(queues))
    )
      throw new TypeError(`queues must be an object of queues by id, or a function, found ${describeValue(queues)}`);
    for (const [queueId, queue] of typeof queues === 'object' ? Object.entries(queues) : []) {
      // As elsewhere, a key without a value is no key.
      if (queue !== undefined && !isDescriptor(queue) && !isQueueLike(queue))
        throw new TypeError(
          `queues.${queueId} must be a QueueDescriptor, or a queue with put, get, empty and qsize, found ${describeValue(queue)}`,
        );
    }
    for (const name of ['maxMessageBytes', 'maxStreams', 'maxConnections', 'rememberMs', 'reattachMs'] as const) {
      const value = options[name];
      if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
        throw new RangeError(`${name} must be a positive integer, found ${value}`);
    }
    const { port } = options;
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65535))
      throw new RangeError(`port must be from 0 to 65535, found ${port}`);
    const rememberMs = Math.min(options.rememberMs ?? 5 * 60_000, 2 ** 31 - 1);
    const keepMs = Math.min(rememberMs, options.reattachMs ?? DEFAULT_REATTACH_MS);
    this.served = new ServedQueues(queues, rememberMs, keepMs);
    this.host = {
      instance: randomBytes(16),
      rememberMs,
      maxItemBytes: options.maxMessageBytes ?? DEFAULT_MESSAGE_BYTES,
      requestsOf: (queueId) => this.served.requestsOf(queueId),
      open: (queueId, opener) => this.served.open(queueId, opener),
      ended: (session, served) => {
        this.sessions.delete(session);
        if (served !== undefined) this.served.left(served, session, this.stopping !== undefined);
      },
    };
  }

  /** @throws QueueConnectionError when the address is taken, a certificate or key is of no use, or plain text would leave the machine */
  async start(): Promise<{ host: string; port: number }> {
    const { host = '127.0.0.1', port = 0, tls, maxConnections = 10_000 } = this.options;
    if (this.listener !== undefined)
      throw new QueueConnectionError('the server was started before; make a new QueueServer to serve again');
    if (tls === undefined && !isLoopback(host) && this.options.allowPlaintextBeyondLoopback !== true) {
      throw new QueueConnectionError(
        `refusing to serve plain text on ${host}, which others can reach. Give tls: { cert, key }, or allowPlaintextBeyondLoopback: true if the network itself is safe`,
      );
    }
    const grpc = loadGrpc();
    const server = new grpc.Server({
      'grpc.max_receive_message_length': this.host.maxItemBytes + FRAME_OVERHEAD_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
    });
    server.addService({ Attach: attachMethod() }, { Attach: (call: Call) => this.attach(call) });
    this.health.addTo(server);
    addReflection(server);
    this.injector = injectorOf(server, tls);
    this.grpcServer = server;
    this.listener = new Listener((socket: Socket) => this.injector?.injectConnection(socket), maxConnections);
    const listening = this.listener.listen(host, port);
    this.starting = listening;
    let bound: number;
    try {
      bound = await listening;
    } catch (cause) {
      server.forceShutdown();
      this.listener = undefined;
      throw new QueueConnectionError(`cannot listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
    } finally {
      this.starting = undefined;
    }
    this.sweeper = setInterval(() => void this.served.sweep(), SWEEP_MS);
    this.sweeper.unref();
    return { host, port: bound };
  }

  /**
   * Takes new tokens or certificates. Certificates are for connections made from now on; a stream whose token is gone, or may do something
   * else now, ends. Nothing changes when it throws. @throws TypeError, QueueConnectionError for what is of no use
   */
  reload(options: Pick<QueueServerOptions, 'token' | 'tokens' | 'tls'>): void {
    if (this.grpcServer === undefined) throw new QueueConnectionError('the server was not started');
    const { tls } = options;
    if ((tls === undefined) !== (this.options.tls === undefined))
      throw new TypeError('a server that has started goes on with TLS, or without');
    const access = accessOf(options);
    if (tls !== undefined) this.injector = injectorOf(this.grpcServer, tls);
    this.access = access;
    const { UNAUTHENTICATED } = loadGrpc().status;
    for (const session of this.sessions) {
      const renewed = access.renewed(session.grant, session.queueId);
      if (renewed !== undefined) session.grant = renewed;
      else session.refuse(UNAUTHENTICATED, 'ERR_QUEUE_CONNECTION', 'the token was revoked, or its rights have changed');
    }
  }

  /**
   * Drains: takes no more clients, answers what was put, fails what waits, and gives clients `graceMs` (default 5000) to settle what they
   * have on lease. What they have not settled goes back to its queue. Idempotent. Nothing happens to a server that was not started.
   */
  async stop(options?: { graceMs?: number }): Promise<void> {
    if (typeof options === 'object' && options !== null) refuseUnknown(options, ['graceMs']);
    const graceMs = readMilliseconds('graceMs', options?.graceMs) ?? DEFAULT_GRACE_MS;
    // A port that is not open yet cannot be closed.
    if (this.starting !== undefined)
      return this.starting.then(
        () => this.stop(options),
        () => {},
      );
    if (this.listener === undefined) return;
    await (this.stopping ??= this.drain(graceMs));
  }

  private async drain(graceMs: number): Promise<void> {
    clearInterval(this.sweeper);
    this.health.stop();
    this.listener?.close();
    await Promise.all([...this.sessions].map((session) => session.drain(graceMs)));
    // Lets the last frames leave before the connections go.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(graceMs, 500));
      this.injector?.drain(Math.min(graceMs, 500));
      if (this.grpcServer === undefined) {
        clearTimeout(timer);
        return resolve();
      }
      this.grpcServer.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.grpcServer?.forceShutdown();
    this.listener?.destroy();
    await this.served.close();
  }

  private attach(call: Call): void {
    const { status, Metadata } = loadGrpc();
    const refuse = (code: Grpc.status, header: string | undefined, details: string): void => {
      const metadata = new Metadata();
      if (header !== undefined) metadata.set(CODE_HEADER, header);
      call.on('error', () => {});
      call.emit('error', { code, details, metadata });
    };
    const grant = this.access.grant(call.metadata.get('authorization')[0]);
    if (grant === undefined) return refuse(status.UNAUTHENTICATED, undefined, 'the bearer token is missing or wrong');
    if (this.stopping !== undefined) return refuse(status.UNAVAILABLE, STOPPING, 'the server is stopping');
    const { maxStreams = 10_000 } = this.options;
    if (this.sessions.size >= maxStreams) {
      return refuse(
        status.RESOURCE_EXHAUSTED,
        BUSY,
        `the server has its maximum of ${maxStreams} streams open (maxStreams)`,
      );
    }
    this.sessions.add(new Session(call, this.host, grant));
  }
}

function accessOf({ token, tokens }: Pick<QueueServerOptions, 'token' | 'tokens'>): Access {
  return new Access(tokens ?? (token === undefined ? undefined : [{ token }]));
}

function injectorOf(
  server: Grpc.Server,
  tls: QueueServerOptions['tls'],
): ReturnType<Grpc.Server['createConnectionInjector']> {
  const { ServerCredentials } = loadGrpc();
  const injector = withCertificates('tls', () =>
    server.createConnectionInjector(
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            tls.clientCa === undefined ? null : pem('tls.clientCa', tls.clientCa),
            [{ cert_chain: pem('tls.cert', tls.cert), private_key: pem('tls.key', tls.key) }],
            tls.clientCa !== undefined,
          ),
    ),
  );
  widenWindow(server);
  return injector;
}

/**
 * Lets a client have as much under way as its puts may: gRPC's own option for that is heeded by clients alone, and with HTTP/2's 64 KiB a batch
 * would stop on its way for an answer several times. Where gRPC keeps its HTTP/2 servers elsewhere, it does.
 */
function widenWindow(server: Grpc.Server): void {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2Server, unknown> };
  const [newest] = [...(http2Servers?.keys() ?? [])].slice(-1);
  newest?.on('session', (session) => {
    if (session.destroyed) return;
    session.settings({ initialWindowSize: WINDOW_BYTES });
    session.setLocalWindowSize(WINDOW_BYTES);
  });
}
