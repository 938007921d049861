/**
 * One session's stream of requests and answers, and its survival of broken connections.
 *
 * Every request has a number. Those not yet answered are kept; after a reconnect they are sent again in order with the
 * same numbers, and the server answers those it has done already from its cache, so that each is applied once.
 */
import { onAbort } from '../../../wait/abort-listeners';
import { RaySessionLostError } from '../errors';
import { type Channel, type ChannelOptions, type Grpc, openChannel, openDatapath, ping } from './grpc';
import {
  decodeConnectionInfo,
  decodeGet,
  decodeInit,
  decodeResponse,
  encodeAcknowledge,
  encodeGet,
  encodeInit,
} from './wire';
import { type ConnectionInfo, encodeRequest, PING, REQUEST, type RequestKind } from './wire';

/** The server forgets a cached answer when it, or a later one, is acknowledged. */
const ACKNOWLEDGE_EVERY = 32;
const LARGEST_ID = 2 ** 31 - 1;
/** Consecutive failures inside the server, with no answer between them, after which the session counts as broken. */
const MAX_INTERNAL_FAILURES = 4;

/** gRPC status codes by meaning here. */
const INTERNAL = new Set([2, 13]);
/** INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, UNIMPLEMENTED, UNAUTHENTICATED. */
const FINAL = new Set([3, 5, 7, 8, 9, 10, 12, 16]);

export interface DatapathOptions extends ChannelOptions {
  clientId: string;
  /** How long the server keeps the session, and the client tries, after the connection broke. */
  graceMs: number;
  /** Arguments of `ray.init()` on the server. */
  initArguments: object;
  /** For the connection, and again for the session behind it. */
  pingTimeoutMs: number;
  initTimeoutMs: number;
  /** Ends it while it is being opened. */
  signal?: AbortSignal;
  /** There is a connection, and the server is asked to start a session. */
  onInit: () => void;
}

/** The server answered Init with a refusal. */
export class InitRefusedError extends Error {}

interface Pending {
  readonly reqId: number;
  readonly kind: RequestKind;
  readonly body: () => Uint8Array;
  /** Chunks of an asynchronous get that came so far. */
  readonly chunks: Buffer[];
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class Datapath {
  private channel: Channel;
  private stream: Grpc.ClientDuplexStream<Buffer, Buffer> | undefined;
  private state: 'opening' | 'open' | 'reconnecting' | 'closing' | 'ended' = 'opening';
  private nextId = 1;
  private readonly pending = new Map<number, Pending>();
  private readonly unsent = new Set<Pending>();
  private writable = true;
  private answers = 0;
  private reconnectBy: number | undefined;
  private internalFailures = 0;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;
  /** Reconnections so far. */
  reconnects = 0;
  onEnd: (error: Error) => void = () => {};

  private constructor(
    private readonly grpc: typeof Grpc,
    private readonly options: DatapathOptions,
  ) {
    this.channel = openChannel(grpc, options);
  }

  /** @throws a gRPC error, or InitRefusedError. Nothing is left open then. */
  static async open(grpc: typeof Grpc, options: DatapathOptions): Promise<Datapath> {
    const path = new Datapath(grpc, options);
    let timer: NodeJS.Timeout | undefined;
    const ignore = onAbort(options.signal, () => path.end(new Error('Closed.')));
    try {
      await ping(path.channel, options.clientId, PING, options.pingTimeoutMs, options.signal);
      path.start(false);
      options.onInit();
      const answer = path.request('init', encodeInit(options.initArguments, Math.ceil(options.graceMs / 1000)));
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new InitRefusedError('Init was not answered in time.')), options.initTimeoutMs);
      });
      const { ok, message } = decodeInit(await Promise.race([answer, late]));
      if (!ok) throw new InitRefusedError(message);
      path.state = 'open';
      return path;
    } catch (error) {
      path.end(error as Error);
      throw error;
    } finally {
      ignore();
      clearTimeout(timer);
    }
  }

  get clientId(): string {
    return this.options.clientId;
  }

  get ended(): boolean {
    return this.state === 'ended' || this.state === 'closing';
  }

  /** The answer's body. @throws RaySessionLostError when the session ends before it came. */
  request(kind: RequestKind, body: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => this.enqueue(kind, () => body, resolve, reject));
  }

  /** The pickled value of an object reference, once it is there; or the pickled error when the reference is not valid. */
  async fetch(id: Uint8Array): Promise<{ valid: boolean; data: Buffer }> {
    const chunks: Buffer[] = [];
    const last = await new Promise<Buffer>((resolve, reject) =>
      this.enqueue('get', () => encodeGet(id, chunks.length), resolve, reject, chunks),
    );
    const { valid, error } = decodeGet(last);
    if (!valid) return { valid, data: error };
    return { valid, data: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) };
  }

  async connectionInfo(): Promise<ConnectionInfo> {
    return decodeConnectionInfo(await this.request('connectionInfo', Buffer.alloc(0)));
  }

  /** Ends the session on the server at once, instead of after its grace. */
  async close(): Promise<void> {
    if (this.ended) return;
    const connected = this.state === 'open';
    let timer: NodeJS.Timeout | undefined;
    if (connected) {
      const goodbye = this.request('connectionCleanup', Buffer.alloc(0)).catch(() => {});
      this.state = 'closing';
      await Promise.race([goodbye, new Promise((resolve) => (timer = setTimeout(resolve, 1000)))]);
      clearTimeout(timer);
      this.stream?.end();
    }
    this.end(
      new RaySessionLostError(
        'The Ray client was closed while a call was under way; whether it took effect is not known.',
      ),
    );
  }

  private enqueue(
    kind: RequestKind,
    body: () => Uint8Array,
    resolve: (body: Buffer) => void,
    reject: (error: Error) => void,
    chunks: Buffer[] = [],
  ): void {
    if (this.ended)
      return reject(this.failure ?? new RaySessionLostError('The session with the Ray cluster has ended.'));
    const reqId = this.nextId;
    this.nextId = reqId === LARGEST_ID ? 1 : reqId + 1;
    const pending: Pending = { reqId, kind, body, chunks, resolve, reject };
    this.pending.set(reqId, pending);
    this.unsent.add(pending);
    this.flush();
  }

  private flush(): void {
    if (this.stream === undefined) return;
    for (const pending of this.unsent) {
      if (!this.writable) return;
      this.unsent.delete(pending);
      this.writable = this.stream.write(encodeRequest(pending.reqId, pending.kind, pending.body()));
    }
  }

  private start(reconnecting: boolean): void {
    const stream = openDatapath(this.channel, this.options.clientId, reconnecting);
    this.stream = stream;
    this.writable = true;
    stream.on('data', (message: Buffer) => {
      if (this.stream === stream) this.receive(message);
    });
    stream.on('drain', () => {
      if (this.stream !== stream) return;
      this.writable = true;
      this.flush();
    });
    const broken = (error: Error): void => {
      if (this.stream !== stream) return;
      this.stream = undefined;
      this.broken(error as Grpc.ServiceError);
    };
    stream.on('error', broken);
    stream.on('end', () => broken(new Error('The server ended the stream.')));
  }

  private receive(message: Buffer): void {
    let response;
    try {
      response = decodeResponse(message);
    } catch (error) {
      return this.end(
        new RaySessionLostError('The Ray Client server sent something that is not its protocol.', { cause: error }),
      );
    }
    this.reconnectBy = undefined;
    const pending = this.pending.get(response.reqId);
    if (pending === undefined) return;
    if (response.kind !== 0 && response.kind !== REQUEST[pending.kind]) {
      return this.end(
        new RaySessionLostError(
          `The Ray Client server answered request kind ${pending.kind} with kind ${response.kind}.`,
        ),
      );
    }
    if (pending.kind === 'get' && !this.complete(pending, response.body)) return;
    this.pending.delete(response.reqId);
    if (pending.kind !== 'connectionInfo') this.internalFailures = 0;
    if (++this.answers % ACKNOWLEDGE_EVERY === 0) {
      this.writable =
        this.stream!.write(encodeRequest(0, 'acknowledge', encodeAcknowledge(response.reqId))) && this.writable;
    }
    pending.resolve(response.body);
  }

  /** Collects a chunk; true when it was the last one. After a reconnect a chunk may come again. */
  private complete(pending: Pending, body: Buffer): boolean {
    const chunk = decodeGet(body);
    if (!chunk.valid) return true;
    if (chunk.chunkId === pending.chunks.length) pending.chunks.push(Buffer.from(chunk.data));
    return pending.chunks.length >= chunk.totalChunks;
  }

  private broken(error: Grpc.ServiceError): void {
    if (this.state === 'ended') return;
    const internal = INTERNAL.has(error.code) && ++this.internalFailures > MAX_INTERNAL_FAILURES;
    if (this.state === 'opening') return this.end(error);
    if (this.state === 'closing' || FINAL.has(error.code) || internal || this.options.graceMs === 0)
      return this.end(lost(error));
    this.reconnectBy ??= Date.now() + this.options.graceMs;
    void this.reconnect(error);
  }

  private async reconnect(first: Error): Promise<void> {
    this.state = 'reconnecting';
    let cause = first;
    for (let attempt = 0; Date.now() < this.reconnectBy!; attempt++) {
      if (attempt > 0) await this.pause(Math.min(50 * 2 ** attempt, 500) * (0.5 + Math.random()));
      if (this.state !== 'reconnecting') return;
      this.channel.client.close();
      this.channel = openChannel(this.grpc, this.options);
      try {
        await ping(
          this.channel,
          this.options.clientId,
          PING,
          Math.max(100, Math.min(2000, this.reconnectBy! - Date.now())),
        );
      } catch (error) {
        if (this.state !== 'reconnecting') return;
        if (FINAL.has((error as Grpc.ServiceError).code)) return this.end(lost(error as Error));
        cause = error as Error;
        continue;
      }
      if (this.state !== 'reconnecting') return;
      this.state = 'open';
      this.reconnects++;
      this.unsent.clear();
      for (const pending of this.pending.values()) this.unsent.add(pending);
      this.start(true);
      this.flush();
      // Its answer is the proof that the session is still there, also when nothing else is asked.
      this.connectionInfo().catch(() => {});
      return;
    }
    this.end(lost(cause));
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private end(error: Error): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.failure = error;
    const stream = this.stream;
    this.stream = undefined;
    // A cancelled stream still reports an error, which nobody needs any more.
    stream?.on('error', () => {});
    stream?.cancel();
    this.channel.client.close();
    this.wake?.();
    const pending = [...this.pending.values()];
    this.pending.clear();
    this.unsent.clear();
    for (const { reject } of pending) reject(error);
    this.onEnd(error);
  }
}

function lost(cause: Error): RaySessionLostError {
  return new RaySessionLostError(
    `The session with the Ray cluster was lost (${cause.message}). Calls that were under way may or may not have taken effect.`,
    { cause },
  );
}
