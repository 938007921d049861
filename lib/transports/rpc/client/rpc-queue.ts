import type { Readable } from 'node:stream';
import { CallEnd } from '../../../wait/abort-listeners';
import { BaseQueue, withAccepted } from '../../../queue/base-queue';
import { encodeItem, itemCodecOf } from '../../../codec/registry';
import type { ItemCodec } from '../../../codec/registry';
import { isUnknownSchema } from '../../../codec/struct/codec';
import type { QueueDescriptor } from '../../../descriptor/descriptor';
import { describeValue } from '../../../util/describe-value';
import { QueueClosedError, QueueShutDownError } from '../../../errors';
import type { EncodedLeases, EncodedLender } from '../../../queue/encoded-source';
import { interruptible } from '../../../queue/interruptible-source';
import { isIterable } from '../../../queue/item-feed';
import { batchOf, HeldBatch } from '../../../queue/lease-batch';
import type { LeaseRun } from '../../../queue/lease-table';
import { tellRedelivered } from '../../../queue/redelivered-channel';
import type { Lease, LeaseBatch, QueueStats, ResolveOptions, WaitOptions } from '../../../queue/types';
import { watched } from '../../../wait/wait-channel';
import type { WaitingCall } from '../../../wait/wait-channel';
import { JOIN_OPTIONS, readMax, readPositiveMilliseconds, readShutdown, readWait } from '../../../wait/options';
import type { Wait } from '../../../wait/options';
import { toNumber } from '../wire/protocol';
import { ItemBatch, sealedOf } from '../wire/item-batch';
import { asyncBatchesOf, batchesOf } from './batch-source';
import { RpcClient } from './client';
import type { Part } from './get-call';
import { AheadIterator, AheadLeases } from './loop';
import { PutManyCall } from './put-many';
import { readRemote } from './remote';

/** The most that one get asks for. */
const MOST_ASKED = 2 ** 32 - 1;

/** Node's own are loaded with them. */
const streams = (): typeof import('../../../queue/streams') =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  require('../../../queue/streams') as typeof import('../../../queue/streams');

/**
 * A queue behind a `QueueServer`, on this machine or another.
 *
 * A put that resolved is in the queue. While the server lives no put is applied twice and no get loses or repeats an item, however often the
 * connection breaks; docs/rpc.md has the whole table. Bytes given to put are copied before it returns.
 */
export class RpcQueue<T = unknown> extends BaseQueue<T> implements EncodedLender {
  private readonly client: RpcClient;
  private readonly codec: ItemCodec;

  /** @throws InvalidDescriptorError when the metadata names no server; QueueConnectionError when gRPC is not installed, or
   *  the credentials are of no use. */
  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    super(descriptor);
    const { maxsize } = descriptor.metadata;
    this.codec = itemCodecOf(descriptor.metadata);
    this.client = new RpcClient(readRemote(descriptor, options), {
      maxsize: typeof maxsize === 'number' ? maxsize : undefined,
      exclusive: options.create === 'exclusive',
      prefetch: readPrefetch(options.prefetch),
      answerWithinMs: readPositiveMilliseconds('answerTimeoutMs', options.answerTimeoutMs),
    });
    this.client.leased.onLost = (reason) => this.tellLeasesLost(reason);
  }

  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readWait(options);
    this.client.checkOpen();
    const putting = this.client.puts.put(ItemBatch.kept(encodeItem(item, this.codec)), wait);
    const applied = putting.then(({ failed }) => {
      if (failed !== undefined) throw failed.error;
    });
    await this.watched('put', applied);
  }

  override async get(options?: WaitOptions): Promise<T> {
    const wait = readWait(options);
    this.client.checkOpen();
    const { gets } = this.client;
    const getting = gets.get({ max: 1 }, wait, ([part]) => gets.giveFirst<T>(part!));
    return await this.watched('get', getting);
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    this.client.checkOpen();
    const ending = new CallEnd(wait.signal);
    const call = new PutManyCall(this.client, wait, ending);
    const maxItemBytes = (): number => this.client.maxItemBytes;
    try {
      if (isIterable(items)) await call.putAll(() => batchesOf(items, this.codec, maxItemBytes));
      else {
        const source = interruptible(items, this, {
          signal: ending.signal,
          deadline: call.deadline,
          isReferenced: this.isReferenced,
        });
        await call.putAll((silent) => asyncBatchesOf(source, this.codec, maxItemBytes, silent));
      }
    } catch (error) {
      await call.settled();
      throw withAccepted(call.asFarAsKnown(error), call.accepted, wait);
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
    const getting = this.client.gets.get({ max: Math.min(max, MOST_ASKED) }, wait, (parts) => this.received(parts));
    return await this.watched('get', getting);
  }

  /** The values of what came, which are the program's from here on; what is behind one that cannot be decoded goes back. */
  private received(parts: readonly Part[]): T[] {
    const { gets } = this.client;
    const values: T[] = [];
    const bad = decodeAll(parts, values);
    // One that cannot be decoded is removed and reported by the get that meets it first, so that nothing is lost to its error.
    const stays = bad !== undefined && isUnknownSchema(bad.error);
    let kept = bad === undefined ? Infinity : Math.max(stays ? 0 : 1, values.length);
    const back: [tag: number, count: number][] = [];
    for (const { tag, items } of parts) {
      const mine = Math.min(kept, items.count);
      kept -= mine;
      gets.shown.giveAll(tag, mine);
      if (mine < items.count) back.push([tag + mine, items.count - mine]);
    }
    for (const [tag, count] of back) gets.requeue(tag, count);
    if (bad !== undefined && values.length === 0) throw bad.error;
    return values;
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    const batch = await this.leaseMany(1, options);
    return batch.leases[0]!;
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const wait = readWait(options);
    const none = readMax(max, 'leaseMany') === 0;
    this.client.checkOpen();
    if (none) return batchOf<T>([]);
    const { part, run } = await this.leasePart(max, wait);
    const values: T[] = [];
    const bad = decodeAll([part], values);
    if (bad === undefined) return this.lent(values, run);
    // As in getMany.
    const removed = Math.max(isUnknownSchema(bad.error) ? 0 : 1, values.length);
    await run.undo(removed, run.count);
    if (values.length > 0) return this.lent(values, run);
    await run.end(0, removed, true);
    throw bad.error;
  }

  async leaseEncoded(max: number, _maxBytes: number, options?: WaitOptions): Promise<EncodedLeases> {
    const wait = readWait(options);
    this.client.checkOpen();
    const { part, run } = await this.leasePart(max, wait);
    return { run, items: sealedOf(part.items), more: false };
  }

  private leasePart(max: number, wait: Wait): Promise<{ part: Part; run: LeaseRun }> {
    const { gets, leased } = this.client;
    const leasing = gets.get({ lease: true, max: Math.min(max, MOST_ASKED) }, wait, ([part]) => ({
      part: part!,
      run: leased.lend(part!),
    }));
    return this.watched('get', leasing);
  }

  private lent(values: T[], run: LeaseRun): LeaseBatch<T> {
    const batch = new HeldBatch(values, run);
    tellRedelivered(this.descriptor, batch);
    return batch;
  }

  private watched<R>(call: WaitingCall, waiting: Promise<R>): Promise<R> {
    return watched(this.descriptor, call, waiting);
  }

  override [Symbol.asyncIterator](): AsyncIterator<T> {
    return new AheadIterator<T>(this.client.gets, () => this.client.checkOpen());
  }

  override readable(): Readable {
    const leases = new AheadLeases<T>(this.client.gets, () => this.client.checkOpen());
    return new (streams().QueueReadable)<T>(leases, this);
  }

  /** Whether there is no item now. */
  override async empty(): Promise<boolean> {
    return (await this.qsize()) === 0;
  }

  /** Whether a put would have to wait now. */
  override async full(): Promise<boolean> {
    this.client.checkOpen();
    return (await this.client.queries.query()).full === true;
  }

  /** How many items there are now. */
  override async qsize(): Promise<number> {
    this.client.checkOpen();
    return toNumber((await this.client.queries.query()).qsize);
  }

  /** Counters of the queue. */
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
      // Absent where the queue behind the server does not know.
      leased: result.leased === undefined || result.leased === null ? undefined : toNumber(result.leased),
    };
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    const wait = readWait(options, JOIN_OPTIONS);
    this.client.checkOpen();
    await this.watched('join', this.client.queries.join(wait));
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    const immediate = readShutdown(options);
    this.client.checkOpen();
    await this.client.queries.shutdown(immediate);
    this.tellEnd(new QueueShutDownError('The queue was shut down and takes no more items.'));
  }

  override close(): Promise<void> {
    this.tellClosing();
    const closing = this.client.close();
    this.tellEnd(new QueueClosedError());
    return closing;
  }

  protected override setReferenced(referenced: boolean): void {
    this.client.setReferenced(referenced);
  }
}

/** Up to the first that cannot be decoded. @returns why that one cannot */
function decodeAll<T>(parts: readonly Part[], into: T[]): { error: unknown } | undefined {
  try {
    for (const { items } of parts) for (let index = 0; index < items.count; index++) into.push(items.open(index) as T);
  } catch (error) {
    return { error };
  }
  return undefined;
}

/** @throws RangeError */
function readPrefetch(prefetch: number | undefined): number | undefined {
  if (prefetch === undefined || prefetch === null || (Number.isSafeInteger(prefetch) && prefetch >= 0)) return prefetch;
  throw new RangeError(`prefetch must be a non-negative integer of items, found ${describeValue(prefetch)}.`);
}
