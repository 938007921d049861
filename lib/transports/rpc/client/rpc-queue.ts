import { CallEnd } from '../../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../../queue/base-queue';
import { encodeItem } from '../../../codec/registry';
import type { CodecName } from '../../../codec/registry';
import type { QueueDescriptor } from '../../../descriptor/descriptor';
import { asyncDispose } from '../../../util/dispose';
import { QueueClosedError, QueueShutDownError } from '../../../errors';
import { interruptible } from '../../../queue/interruptible-source';
import { isIterable } from '../../../queue/item-feed';
import type { Lease, QueueStats, ResolveOptions, WaitOptions } from '../../../queue/types';
import { AT_ONCE, readMax, readShutdown, readWait } from '../../../wait/options';
import { toNumber } from '../wire/protocol';
import { ItemBatch } from '../wire/item-batch';
import { asyncBatchesOf, batchesOf } from './batch-source';
import { RpcClient } from './client';
import { PutManyCall } from './put-many';
import { readRemote } from './remote';

/**
 * A queue behind a `QueueServer`, on this machine or another.
 *
 * A put that resolved is in the queue. While the server lives no put is applied twice and no get loses or repeats an item, however often the
 * connection breaks; docs/rpc.md has the whole table. Bytes given to put are copied before it returns.
 */
export class RpcQueue<T = unknown> extends BaseQueue<T> {
  private readonly client: RpcClient;
  private readonly codec: CodecName | undefined;

  /** @throws InvalidDescriptorError when the metadata names no server; QueueConnectionError when gRPC is not installed, or
   *  the credentials are of no use. */
  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    const { codec, maxsize } = descriptor.metadata;
    this.codec = typeof codec === 'string' ? codec : undefined;
    this.client = new RpcClient(readRemote(descriptor, options), {
      maxsize: typeof maxsize === 'number' ? maxsize : undefined,
      exclusive: options.create === 'exclusive',
    });
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    this.client.checkOpen();
    const { failed } = await this.client.puts.put(ItemBatch.kept(encodeItem(item, this.codec)), wait);
    if (failed !== undefined) throw failed.error;
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    this.client.checkOpen();
    const { items } = await this.client.gets.get(1, wait);
    return items.open(0) as T;
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    this.client.checkOpen();
    const ending = new CallEnd(wait.signal);
    const call = new PutManyCall(this.client, wait, ending);
    const maxItemBytes = (): number => this.client.maxItemBytes;
    try {
      if (isIterable(items)) await call.putAll(batchesOf(items, this.codec, maxItemBytes), true);
      else {
        const source = interruptible(items, this, ending.signal);
        await call.putAll(asyncBatchesOf(source, this.codec, maxItemBytes), false);
      }
    } catch (error) {
      await call.settled();
      throw withAccepted(error, call.accepted, wait);
    } finally {
      ending.dispose();
    }
    return call.accepted;
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    const wait = readWait(options);
    const none = readMax(max) === 0;
    this.client.checkOpen();
    if (none) return [];
    let { items, more } = await this.client.gets.get(Math.min(max, 2 ** 32 - 1), wait);
    const decoded: T[] = [];
    open(items, decoded);
    while (more && decoded.length < max) {
      try {
        ({ items, more } = await this.client.gets.get(Math.min(max - decoded.length, 2 ** 32 - 1), AT_ONCE));
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
    this.client.checkOpen();
    const leased = await this.client.gets.lease(wait);
    let item: T;
    try {
      item = leased.items.open(0) as T;
    } catch (error) {
      await leased.ack();
      throw error;
    }
    const { deliveries, ack, release } = leased;
    return { item, deliveries, crashes: 0, ack, release, [asyncDispose]: release } as unknown as Lease<T>;
  }

  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  override async full(): Promise<boolean> {
    this.client.checkOpen();
    return (await this.client.queries.query()).full === true;
  }

  override async qsize(): Promise<number> {
    this.client.checkOpen();
    return toNumber((await this.client.queries.query()).qsize);
  }

  override async stats(): Promise<QueueStats> {
    this.client.checkOpen();
    const result = await this.client.queries.query();
    return {
      queueId: this.descriptor.queueId,
      queueType: this.queueType,
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
    this.client.checkOpen();
    await this.client.queries.shutdown(readShutdown(options));
    this.tellEnd(new QueueShutDownError('The queue was shut down and takes no more items.'));
  }

  override close(): Promise<void> {
    const closing = this.client.close();
    this.tellEnd(new QueueClosedError());
    return closing;
  }

  override ref(): this {
    this.client.setReferenced(true);
    return this;
  }

  override unref(): this {
    this.client.setReferenced(false);
    return this;
  }
}

function open<T>(items: ItemBatch, into: T[]): void {
  for (let index = 0; index < items.count; index++) into.push(items.open(index) as T);
}
