import * as grpc from '@grpc/grpc-js';
import { QueueDescriptor, resolveDescriptor } from '../../../lib';
import type { Queue, QueueLike, ResolveOptions } from '../../../lib';
import { QueueServer } from '../../../lib/rpc';
import type { QueueServerOptions } from '../../../lib/rpc';
import { attachMethod } from '../../../lib/transports/rpc/wire/protocol';
import type { ClientFrame, ServerFrame } from '../../../lib/transports/rpc/wire/protocol';
import { CuttingProxy } from './proxy';

/** A stream as a client of the protocol has it. */
export interface RawStream {
  send(frame: ClientFrame): void;
  /** What came. */
  readonly frames: ServerFrame[];
  readonly status: Promise<grpc.StatusObject>;
}

/** Everything a test starts, stopped in reverse by `end()`. */
export class Fixture {
  private readonly ends: (() => Promise<unknown>)[] = [];
  private static made = 0;

  later(end: () => Promise<unknown>): void {
    this.ends.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.ends.splice(0).reverse()) await end();
  }

  /** A server that offers the queues, by default one local queue named q. */
  async serve(
    options: QueueServerOptions & { maxsize?: number } = {},
  ): Promise<{ server: QueueServer; host: string; port: number; backing: Queue }> {
    const { maxsize = 0, ...rest } = options;
    const backing = resolveDescriptor(
      QueueDescriptor.createLocalQueue(`behind-rpc-${Fixture.made++}`, { maxsize }),
    ) as Queue;
    const server = new QueueServer({ queues: { q: backing as QueueLike }, ...rest });
    const { host, port } = await server.start();
    this.later(() => backing.close());
    this.later(() => server.stop({ graceMs: 200 }));
    return { server, host, port, backing };
  }

  async proxy(port: number): Promise<{ proxy: CuttingProxy; port: number }> {
    const proxy = new CuttingProxy({ host: '127.0.0.1', port });
    const own = await proxy.start();
    this.later(() => proxy.stop());
    return { proxy, port: own };
  }

  /** One that has said nothing yet. */
  beginStream(port: number, token?: string): RawStream {
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    this.later(async () => client.close());
    const { path, requestSerialize, responseDeserialize } = attachMethod();
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const frames: ServerFrame[] = [];
    call.on('data', (frame: ServerFrame) => frames.push(frame));
    call.on('error', () => {});
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    this.later(async () => call.cancel());
    return { send: (frame) => void call.write(frame), frames, status };
  }

  async stream(port: number, token?: string): Promise<RawStream> {
    const stream = this.beginStream(port, token);
    stream.send({ open: { protocolVersion: 1, queueId: 'q' } });
    await until(() => stream.frames.length === 1);
    return stream;
  }

  client<T = unknown>(
    port: number,
    options: ResolveOptions & {
      queueId?: string;
      host?: string;
      tls?: 'off' | 'system' | { ca: string };
      maxsize?: number;
    } = {},
  ): Queue<T> {
    const { queueId = 'q', host = '127.0.0.1', tls, maxsize, ...resolve } = options;
    const queue = resolveDescriptor<T>(
      QueueDescriptor.createRpcQueue(host, port, queueId, { tls, maxsize }),
      resolve,
    ) as Queue<T>;
    this.later(() => queue.close());
    return queue;
  }
}

export async function until(condition: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What gRPC and Node say around what happened; none of it is for people. */
export const DEBRIS =
  /Resolution note|Last error|No connection established|(?:^|:) ?undefined\b|\[object|\n|\r| {2}|\.\s*\.|\d{4}-\d\d-\d\dT/;

/** The error that a call ends with. Whatever is said of a connection is said without debris. */
export const errorOf = (promise: Promise<unknown>): Promise<Error & { code?: string }> =>
  promise.then(
    (value) => {
      throw new Error(`expected an error, got ${JSON.stringify(value)}`);
    },
    (error: Error & { code?: string }) => {
      if (error.code === 'ERR_QUEUE_CONNECTION' && DEBRIS.test(error.message))
        throw new Error(`debris in a message: ${JSON.stringify(error.message)}`);
      return error;
    },
  );
