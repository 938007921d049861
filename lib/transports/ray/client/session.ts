/** A session with a cluster: made when first needed, made anew when lost, shared by all that ask for the same one. */
import { refuseUnknown } from '../../../util/known-options';
import { randomUUID } from 'node:crypto';
import { QueueConnectionError } from '../../../errors';
import { onAbort } from '../../../wait/abort-listeners';
import { answerWithin } from '../../../wait/deadline';
import { RaySessionLostError } from '../errors';
import { Datapath, InitRefusedError } from './data-stream';
import { completeCredentials, type Grpc, loadGrpc, type RayCredentials } from './grpc';
import type { ConnectionInfo } from './wire';

/** What `RayClient.connect` takes. */
export interface RayClientOptions {
  /** `ray://host:10001`. Default: $RAY_ADDRESS. */
  address?: string;
  /** Where names of actors are looked up and made. Default `sage_queue`. */
  namespace?: string;
  /** For a cluster behind TLS or a token. */
  credentials?: RayCredentials;
  /** For connecting and starting a session. Default 30 000. */
  connectTimeoutMs?: number;
  /** How long a broken connection may last before the session counts as lost. Default 30 000. */
  graceMs?: number;
  /** Silence after which the connection is probed. Default 10 000. */
  keepaliveMs?: number;
}

const SESSION_OPTIONS: readonly (keyof RayClientOptions)[] = [
  ...(['address', 'namespace', 'credentials', 'connectTimeoutMs', 'graceMs', 'keepaliveMs'] as const),
];

export const DEFAULT_NAMESPACE = 'sage_queue';
const DEFAULT_PORT = 10001;
const OLDEST_RAY = [2, 10] as const;
const MAX_ATTEMPTS = 20;
/** Between attempts: 0.2 s on average, and where a session was asked for twice as long each time, up to this. */
const LONGEST_PAUSE_MS = 2000;
/** How long the first attempt waits for its session to start, the second twice as long: a start that hangs does not take all the time. */
const INIT_MS = 10_000;

/** `host:port` of a Ray address. @throws QueueConnectionError on anything that is not a Ray Client address. */
export function parseAddress(address = process.env.RAY_ADDRESS): string {
  if (address === undefined || address === '') {
    throw new QueueConnectionError('No Ray address. Give `address: "ray://host:10001"`, or set RAY_ADDRESS to it.');
  }
  const match = /^ray:\/\/(\[[0-9a-fA-F:.]+\]|[^:/?#\s]+)(?::(\d{1,5}))?\/?$/.exec(address);
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (match === null || port < 1 || port > 65535) {
    throw new QueueConnectionError(
      `'${address}' is not a Ray Client address. Expected ray://host:port; the port of a head node's Ray Client server is ${DEFAULT_PORT} unless chosen otherwise.`,
    );
  }
  return `${match[1]}:${port}`;
}

export class Session {
  private static readonly shared = new Map<string, Session>();
  private users = 0;
  private datapath: Promise<Datapath> | undefined;
  private readonly closing = new AbortController();
  /** Counts the sessions made; what belongs to one (actor ids, objects) is unknown to the next. */
  generation = 0;
  info: ConnectionInfo | undefined;

  private constructor(
    private readonly key: string,
    readonly target: string,
    readonly namespace: string,
    private readonly credentials: RayCredentials,
    private readonly options: RayClientOptions,
  ) {}

  /** The session for these options; release() it once. Connects when it is first used. */
  static acquire(options: RayClientOptions): Session {
    refuseUnknown(options, SESSION_OPTIONS);
    const target = parseAddress(options.address);
    const namespace = options.namespace ?? DEFAULT_NAMESPACE;
    const credentials = completeCredentials(options.credentials);
    const key = JSON.stringify([
      target,
      namespace,
      credentials,
      options.connectTimeoutMs,
      options.graceMs,
      options.keepaliveMs,
    ]);
    let session = Session.shared.get(key);
    if (session === undefined) {
      session = new Session(key, target, namespace, credentials, options);
      Session.shared.set(key, session);
    }
    session.users++;
    return session;
  }

  /** That of the session with this id, of whichever client of this process; undefined when it is over. */
  static async datapathOf(clientId: string): Promise<Datapath | undefined> {
    for (const { datapath } of Session.shared.values()) {
      const made = await datapath?.catch(() => undefined);
      if (made?.clientId === clientId && !made.ended) return made;
    }
    return undefined;
  }

  async release(): Promise<void> {
    if (--this.users > 0) return;
    this.closing.abort();
    Session.shared.delete(this.key);
    const datapath = await this.datapath?.catch(() => undefined);
    await datapath?.close();
  }

  get graceMs(): number {
    return this.options.graceMs ?? 30_000;
  }

  /** @throws QueueConnectionError */
  connected(): Promise<Datapath> {
    if (this.closing.signal.aborted) return Promise.reject(new QueueConnectionError('The Ray client was closed.'));
    this.datapath ??= this.connect().then(
      (datapath) => {
        this.generation++;
        datapath.onEnd = () => (this.datapath = undefined);
        return datapath;
      },
      (error) => {
        this.datapath = undefined;
        throw error;
      },
    );
    return this.datapath;
  }

  /**
   * The server starts a process for each session, which now and then dies at birth (ray-project/ray#63202). A new client id
   * is a new process, so Init is tried again.
   */
  private async connect(): Promise<Datapath> {
    const grpc = loadGrpc();
    const timeoutMs = this.options.connectTimeoutMs ?? 30_000;
    const deadline = Date.now() + timeoutMs;
    let asked = 0;
    for (let attempt = 1; ; attempt++) {
      const left = Math.max(1, deadline - Date.now());
      try {
        const datapath = await Datapath.open(grpc, {
          target: this.target,
          credentials: this.credentials,
          keepaliveMs: this.options.keepaliveMs ?? 10_000,
          clientId: randomUUID().replaceAll('-', ''),
          graceMs: this.graceMs,
          initArguments: { namespace: this.namespace, log_to_driver: false },
          pingTimeoutMs: left,
          initTimeoutMs: Math.min(left, INIT_MS * attempt),
          signal: this.closing.signal,
          onInit: () => asked++,
        });
        await this.check(datapath, left);
        return datapath;
      } catch (error) {
        if (this.closing.signal.aborted) throw new QueueConnectionError('The Ray client was closed.', { cause: error });
        const final = this.explain(error as Error, timeoutMs);
        if (final !== undefined) throw final;
        // Each session that was asked for may have left a process that starts on the cluster.
        const pause = Math.min(100 * 2 ** Math.max(1, asked), LONGEST_PAUSE_MS) * (0.5 + Math.random());
        if (attempt >= MAX_ATTEMPTS || Date.now() + pause >= deadline) {
          throw new QueueConnectionError(
            `The Ray cluster at ${this.target} did not start a session in ${attempt} attempts within ${timeoutMs} ms: ${(error as Error).message}${this.tlsHint(error as Error)}`,
            { cause: error },
          );
        }
        await pauseUnlessAborted(pause, this.closing.signal);
      }
    }
  }

  /** A server that misses TLS, or a certificate, closes the connection without a word. A proxy in trouble does so too, hence the attempts. */
  private tlsHint({ message }: Error): string {
    if (!/Failed to connect|Connection dropped/.test(message)) return '';
    const { ca, cert } = this.credentials;
    if (ca === undefined && cert === undefined)
      return ' Connections are closed as soon as they are made: does the cluster use TLS? Then set RAY_USE_TLS=1 and RAY_TLS_*, or give credentials.ca, cert and key.';
    return ` Connections are closed during the TLS handshake: does the cluster know the authority of the client's certificate (RAY_TLS_SERVER_CERT, credentials.cert)${cert === undefined ? ', of which there is none' : ''}?`;
  }

  private async check(datapath: Datapath, timeoutMs: number): Promise<void> {
    const ignore = onAbort(this.closing.signal, () => void datapath.close());
    const late = (): Error => new RaySessionLostError('The session was made, but does not answer.');
    let info;
    try {
      info = await answerWithin(timeoutMs, datapath.connectionInfo(), late);
    } catch (error) {
      void datapath.close();
      throw error;
    } finally {
      ignore();
    }
    this.info = info;
    const [major = 0, minor = 0] = info.rayVersion.split('.').map(Number);
    if (major > OLDEST_RAY[0] || (major === OLDEST_RAY[0] && minor >= OLDEST_RAY[1])) return;
    await datapath.close();
    throw new QueueConnectionError(
      `The cluster at ${this.target} runs Ray ${info.rayVersion || '(unknown)'}, which is too old; ${OLDEST_RAY.join('.')} or newer is needed.`,
    );
  }

  /** The error that ends the attempts, or undefined when another may succeed. */
  private explain(error: Error, timeoutMs: number): QueueConnectionError | undefined {
    if (error instanceof QueueConnectionError) return error.name === 'RaySessionLostError' ? undefined : error;
    const fail = (message: string): QueueConnectionError => new QueueConnectionError(message, { cause: error });
    if (error instanceof InitRefusedError) {
      return /ray\.init\(\) on the server failed/.test(error.message)
        ? fail(`The Ray cluster at ${this.target} refused the session: ${error.message}`)
        : undefined;
    }
    const { code, details = '' } = error as Grpc.ServiceError;
    if (code === 16 || code === 7) {
      return fail(
        `The Ray cluster at ${this.target} did not accept the token (${details}). Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or give credentials.token.`,
      );
    }
    if (code === 12)
      return fail(
        `What listens at ${this.target} is no Ray Client server. Its port is ${DEFAULT_PORT} unless the head was started with another.`,
      );
    if (code === 14 && /ECONNREFUSED/.test(details)) {
      return fail(`Nothing listens at ${this.target}. Is the head node up, with its Ray Client server on that port?`);
    }
    if (code === 14 && /ENOTFOUND|EAI_AGAIN|Name resolution/.test(details))
      return fail(`The host of ${this.target} is not known: ${details}`);
    if (code === 14 && /certificate|SSL|TLS|EPROTO/i.test(details))
      return fail(`TLS with ${this.target} failed: ${details}`);
    if (code === 14 && /Protocol error|NGHTTP2|Parse Error|Connection dropped/i.test(details)) {
      return fail(
        `What listens at ${this.target} does not speak gRPC (${details}). Is it the Ray Client port, ${DEFAULT_PORT} by default?`,
      );
    }
    if (code === 4) return fail(`No answer from ${this.target} within ${timeoutMs} ms.`);
    return undefined;
  }
}

function pauseUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    onAbort(signal, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
