import { CallEnd } from '../../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../../queue/base-queue';
import { CODEC_RAW, encodeItem, refuseDetached } from '../../../codec/registry';
import type { CodecName } from '../../../codec/registry';
import type { QueueDescriptor } from '../../../descriptor/descriptor';
import { asyncDispose } from '../../../util/dispose';
import { InvalidDescriptorError, ItemTooLargeError } from '../../../errors';
import { interruptible } from '../../../queue/interruptible-source';
import type { Lease, QueueStats, ResolveOptions, WaitOptions } from '../../../queue/types';
import { deadlineOf, restOf } from '../../../wait/deadline';
import { AT_ONCE, readMax, readWait } from '../../../wait/options';
import { bearerToken, pem, withCertificates } from '../../../util/tls';
import { isLoopback } from '../wire/addresses';
import { Handle } from './client';
import type { PutOutcome } from './pending-puts';
import type { Grpc } from '../wire/grpc';
import { loadGrpc } from '../wire/grpc';
import { BATCH_ITEMS, toNumber } from '../wire/protocol';
import { ItemBatch } from '../wire/item-batch';
import { ItemRun } from '../wire/item-batch-builder';

/** Batches of one putMany that may be under way: enough to keep the wire busy, few enough to read little ahead. */
const BATCHES_AHEAD = 8;
/** From a source that does not tell how many it has. */
const EXPECTED_ITEMS = 64;

/**
 * A queue behind a `QueueServer`, on this machine or another.
 *
 * A put that resolved is in the queue. While the server lives no put is applied twice and no get loses or repeats an item, however often the
 * connection breaks; docs/rpc.md has the whole table. Bytes given to put are copied before it returns.
 */
export class RpcQueue<T = unknown> extends BaseQueue<T> {
  private readonly handle: Handle;
  private readonly codec: CodecName | undefined;
  private group = 0;

  /** @throws InvalidDescriptorError when the metadata names no server; QueueConnectionError when gRPC is not installed, or
   *  the credentials are of no use. */
  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    const { server_address: host, port, codec, maxsize } = descriptor.metadata;
    if (typeof host !== 'string' || host === '') {
      throw new InvalidDescriptorError(
        `a descriptor of type 'rpc' needs metadata.server_address, the server's name or address; found ${JSON.stringify(host)}`,
      );
    }
    if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65535) {
      throw new InvalidDescriptorError(
        `a descriptor of type 'rpc' needs metadata.port, from 1 to 65535; found ${JSON.stringify(port)}`,
      );
    }
    this.codec = typeof codec === 'string' ? codec : undefined;
    const remote = {
      host,
      port: port as number,
      queueId: descriptor.queueId,
      credentials: channelCredentials(host, descriptor, options),
      token: bearerToken('credentials.token', options.credentials?.token),
    };
    this.handle = new Handle(remote, {
      maxsize: typeof maxsize === 'number' ? maxsize : undefined,
      exclusive: options.create === 'exclusive',
    });
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    this.handle.checkOpen();
    const { failed } = await this.handle.puts.put(ItemBatch.kept(encodeItem(item, this.codec)), wait);
    if (failed !== undefined) throw failed.error;
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    this.handle.checkOpen();
    const { items } = await this.handle.gets.get(1, wait);
    return items.open(0) as T;
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    this.handle.checkOpen();
    const deadline = deadlineOf(wait);
    const group = ++this.group;
    const under: Promise<PutOutcome>[] = [];
    let accepted = 0;
    let failed: { error: unknown } | undefined;
    const ending = new CallEnd(wait.signal);
    const settleOldest = async (): Promise<void> => {
      const outcome = await under.shift()!;
      accepted += outcome.applied;
      failed ??= outcome.failed;
    };
    try {
      for await (const batch of this.batches(items, ending.signal)) {
        if (ending.signal.aborted) throw ending.signal.reason;
        this.handle.checkOpen();
        const putting = this.handle.puts.put(batch, restOf(wait, deadline), { group });
        void putting.then((outcome) => outcome.failed !== undefined && ending.end(outcome.failed.error));
        under.push(putting);
        if (under.length >= BATCHES_AHEAD) await settleOldest();
        if (failed !== undefined) break;
      }
    } catch (error) {
      failed = { error };
    }
    ending.dispose();
    while (under.length > 0) await settleOldest();
    if (failed !== undefined) throw withAccepted(failed.error, accepted);
    return accepted;
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const none = readMax(max) === 0;
    this.handle.checkOpen();
    if (none) return [];
    let { items, more } = await this.handle.gets.get(Math.min(max, 2 ** 32 - 1), wait);
    const decoded: T[] = [];
    open(items, decoded);
    while (more && decoded.length < max) {
      try {
        ({ items, more } = await this.handle.gets.get(Math.min(max - decoded.length, 2 ** 32 - 1), AT_ONCE));
      } catch {
        // Somebody else took the rest. Any other error comes again at the next call, and what is taken must not be lost to it.
        break;
      }
      open(items, decoded);
    }
    return decoded;
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    const wait = readWait(options);
    this.handle.checkOpen();
    const loan = await this.handle.gets.lease(wait);
    let item: T;
    try {
      item = loan.items.open(0) as T;
    } catch (error) {
      await loan.ack();
      throw error;
    }
    const { deliveries, ack, release } = loan;
    return { item, deliveries, crashes: 0, ack, release, [asyncDispose]: release } as unknown as Lease<T>;
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async full(): Promise<boolean> {
    this.handle.checkOpen();
    return (await this.handle.queries.query()).full === true;
  }

  override async qsize(): Promise<number> {
    this.handle.checkOpen();
    return toNumber((await this.handle.queries.query()).qsize);
  }

  override async stats(): Promise<QueueStats> {
    this.handle.checkOpen();
    const result = await this.handle.queries.query();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.descriptor.queueType,
      qsize: toNumber(result.qsize),
      maxsize: toNumber(result.maxsize),
      putTotal: toNumber(result.putTotal),
      getTotal: toNumber(result.getTotal),
      waitingGetters: toNumber(result.waitingGetters),
      waitingPutters: toNumber(result.waitingPutters),
      redelivered: toNumber(result.redelivered),
    };
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    this.handle.checkOpen();
    await this.handle.queries.shutdown(options?.immediate === true);
  }

  override close(): Promise<void> {
    return this.handle.close();
  }

  override ref(): this {
    this.handle.setReferenced(true);
    return this;
  }

  override unref(): this {
    this.handle.setReferenced(false);
    return this;
  }

  /** Encoded, in runs that fit a frame. An async source that makes us wait is not waited for with a run in hand. */
  private async *batches(items: Iterable<T> | AsyncIterable<T>, ending: AbortSignal): AsyncGenerator<ItemBatch> {
    const run = new ItemRun(Array.isArray(items) ? Math.min(items.length, BATCH_ITEMS) : EXPECTED_ITEMS);
    const plain = this.codec === undefined || this.codec === 'auto';
    let bad: { error: unknown } | undefined;
    /** @returns whether the run is full. */
    const add = (item: T): boolean => {
      let bytes: Uint8Array;
      let codec = CODEC_RAW;
      try {
        if (plain && item instanceof Uint8Array) refuseDetached((bytes = item));
        else ({ bytes, codecId: codec } = encodeItem(item, this.codec));
        if (bytes.byteLength > this.handle.maxItemBytes) throw tooLarge(bytes.byteLength, this.handle.maxItemBytes);
      } catch (error) {
        bad = { error };
        return true;
      }
      run.add(bytes, codec);
      return run.full;
    };
    // Whatever stops the source, what came before it goes in.
    if (Array.isArray(items)) {
      const list = items as T[];
      for (let next = 0; next < list.length && bad === undefined;) {
        while (next < list.length && !add(list[next++]!));
        if (run.count > 0) yield run.take();
      }
    } else if (typeof items === 'string' || Symbol.iterator in items) {
      const source = items[Symbol.iterator]();
      let over = false;
      try {
        while (!over && bad === undefined) {
          try {
            let step = source.next();
            while (step.done !== true && !add(step.value)) step = source.next();
            over = step.done === true;
          } catch (error) {
            over = true;
            bad = { error };
          }
          if (run.count > 0) yield run.take();
        }
      } finally {
        if (!over) source.return?.();
      }
    } else {
      const source = interruptible(items, this, ending);
      let next: Promise<IteratorResult<T>> | undefined;
      let over = false;
      try {
        while (!over && bad === undefined) {
          try {
            next = source.next();
            if (run.count > 0 && !(await settlesSoon(next))) yield run.take();
            const step = await next;
            next = undefined;
            over = step.done === true;
            if (step.done === true || !add(step.value)) continue;
          } catch (error) {
            over = true;
            bad = { error };
          }
          if (run.count > 0) yield run.take();
        }
      } finally {
        const left = over ? undefined : source.return();
        // One that is silent leaves only when it speaks again.
        if (next === undefined) await left;
        else left?.catch(() => {});
      }
      if (run.count > 0) yield run.take();
    }
    if (bad !== undefined) throw bad.error;
  }
}

function open<T>(items: ItemBatch, into: T[]): void {
  for (let index = 0; index < items.count; index++) into.push(items.open(index) as T);
}

export function tooLarge(length: number, limit: number): ItemTooLargeError {
  return new ItemTooLargeError(
    `the encoded item has ${length} bytes; the server takes at most ${limit} (maxMessageBytes of QueueServer)`,
  );
}

/** Whether the promise settles before this turn of the event loop ends. */
function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const immediate = setImmediate(resolve, false);
    const settled = (): void => {
      clearImmediate(immediate);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}

/** Plain text where it cannot leave the machine or where the descriptor says `tls: 'off'`; TLS otherwise. */
function channelCredentials(
  host: string,
  descriptor: QueueDescriptor,
  options: ResolveOptions,
): Grpc.ChannelCredentials {
  const grpc = loadGrpc();
  const { tls } = descriptor.metadata;
  const { ca, cert, key } = options.credentials ?? {};
  const wanted = tls ?? (isLoopback(host) && ca === undefined && cert === undefined ? 'off' : 'system');
  if (wanted === 'off') return grpc.credentials.createInsecure();
  const named =
    typeof wanted === 'object' && wanted !== null && 'ca' in wanted && typeof wanted.ca === 'string'
      ? wanted.ca
      : undefined;
  if (wanted !== 'system' && named === undefined) {
    throw new InvalidDescriptorError(
      `metadata.tls of an 'rpc' descriptor is 'off', 'system' or { ca }; found ${JSON.stringify(tls)}`,
    );
  }
  const authority = ca ?? named;
  const given = (name: string, value: string | undefined): Buffer | null =>
    value === undefined ? null : pem(name, value);
  return withCertificates('credentials', () =>
    grpc.credentials.createSsl(
      given(ca === undefined ? 'metadata.tls.ca' : 'credentials.ca', authority),
      given('credentials.key', key),
      given('credentials.cert', cert),
    ),
  );
}
