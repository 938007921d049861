import { BaseQueue } from '../base-queue';
import { onHandleEnd, onLeasesLost } from '../handle-end';
import { LeaseTable } from '../lease-table';
import type { LeaseRun } from '../lease-table';
import { payingOwedErrors } from '../owed-error';
import { asyncDispose } from '../../util/dispose';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueShutDownError } from '../../errors';
import { HeldBatch } from '../lease-batch';
import { GetScheduler } from './get-scheduler';
import type { Delivery } from './pending-get';
import { readOwnWait } from '../own-wait';
import { PutScheduler } from './put-scheduler';
import { ANSWER_MS, isDecodeError, isEmpty } from './timing';
import { describeValue } from '../../util/describe-value';
import { tellRedelivered } from '../redelivered-channel';
import type { Lease, LeaseBatch, Queue, QueueLike, QueueStats, WaitOptions } from '../types';
import { watched } from '../../wait/wait-channel';
import { remainingMs } from '../../wait/deadline';
import { isTurnOver, nextTurn } from '../../wait/fairness';
import { readAnyWait, readMax } from '../../wait/options';

const required = ['put', 'get', 'empty', 'qsize'] as const;
const queueMethods = [
  ...required,
  'full',
  'putMany',
  'getMany',
  'readable',
  'writable',
  'lease',
  'leaseMany',
  'join',
  'shutdown',
  'close',
  'ref',
  'unref',
  'stats',
] as const;

type Partially<T> = QueueLike<T> & Partial<Omit<Queue<T>, keyof QueueLike<T>>>;

/**
 * The full `Queue` over anything that has the four methods. What the inner queue offers itself is used; the rest is derived.
 * The result still is the inner queue to `instanceof`, and shows its other properties.
 */
export function wrapQueue<T>(inner: QueueLike<T>, descriptor: QueueDescriptor): Queue<T> {
  if (inner instanceof BaseQueue) {
    const derived = inner.getMany === BaseQueue.prototype.getMany || inner.leaseMany === BaseQueue.prototype.leaseMany;
    return derived ? payingOwedErrors<T>(inner) : (inner as Queue<T>);
  }
  const missing = required.filter(
    (name) => typeof (inner as Partial<QueueLike<T>> | null | undefined)?.[name] !== 'function',
  );
  if (missing.length > 0) {
    throw new TypeError(
      `The implementation of queue type '${descriptor.queueType}' must give an object with put, get, empty and qsize; ` +
        `found ${describeValue(inner)} without ${missing.join(', ')}.`,
    );
  }
  const complete = queueMethods.every((name) => typeof (inner as Partially<T>)[name] === 'function');
  if (complete && typeof (inner as Partially<T>)[Symbol.asyncIterator] === 'function') return inner as Queue<T>;

  const wrapped = new WrappedQueue<T>(inner, descriptor);
  const api = new Map<PropertyKey, unknown>([
    ['descriptor', descriptor],
    ...[...queueMethods, Symbol.asyncIterator, asyncDispose, onHandleEnd, onLeasesLost].map(
      // Looked up at the call: a handle's methods may be covered later on.
      (key) => [key, (...args: []) => (wrapped[key as 'close'] as () => unknown)(...args)] as [PropertyKey, unknown],
    ),
  ]);
  for (const key of ['ref', 'unref'] as const) api.set(key, () => (wrapped[key](), shown));
  // The proxy's own target is empty, so that a frozen inner queue does not forbid it to show other methods.
  const shown = new Proxy(Object.create(Object.getPrototypeOf(inner)) as object, {
    get(_target, key) {
      if (api.has(key)) return api.get(key);
      const value: unknown = Reflect.get(inner, key, inner);
      return typeof value === 'function' && key !== 'constructor' ? value.bind(inner) : value;
    },
    has: (_target, key) => api.has(key) || key in inner,
    set: (_target, key, value) => Reflect.set(inner, key, value, inner),
  }) as unknown as Queue<T>;
  return shown;
}

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const takesNoMore = (): QueueShutDownError =>
  new QueueShutDownError('The queue was shut down and takes no more items.');

class WrappedQueue<T> extends BaseQueue<T> {
  private closed = false;
  /** Once shut down nothing comes in; after an immediate one nothing comes back either. */
  private shutDown: 'not' | 'draining' | 'immediate' = 'not';
  private readonly puts: PutScheduler<T>;
  private readonly gets: GetScheduler<T>;
  private readonly leases = new LeaseTable();

  constructor(
    private readonly inner: Partially<T>,
    descriptor: QueueDescriptor,
  ) {
    super(descriptor);
    this.puts = new PutScheduler(
      inner,
      { isKnownInside: () => this.innerKnowsRoom, left: () => this.roomLeft() },
      () => this.itemCame(),
      () => (this.closed ? new QueueClosedError() : this.shutDown !== 'not' ? takesNoMore() : undefined),
      this,
    );
    this.gets = new GetScheduler(inner, () => this.finishSoon());
  }

  private itemCame(): void {
    this.putTotal++;
    this.gets.poller.serve();
  }

  /** For those who wait for room; others of the inner queue's users make room too, which they learn of by asking. */
  private roomCame(): void {
    this.puts.poller.serve();
  }

  private checkOpen(): void {
    if (this.closed) throw new QueueClosedError();
  }

  /**
   * An inner put cannot be called off. At its timeout, an abort, shutdown or close the call ends a moment later than it should where the
   * inner queue does not answer, and then with `outcome: 'unknown'` (but with the signal's own reason after an abort): the item may
   * still go in. Until the inner queue has answered, it is asked for no other put of this handle; those wait, or find it full.
   */
  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readOwnWait(options);
    const { refusal } = this.puts;
    if (refusal !== undefined) throw refusal;
    const waiting = this.puts.put(item, wait);
    if (waiting !== undefined) await watched(this.descriptor, 'put', waiting);
    if (isTurnOver(1)) await nextTurn();
  }

  /** Whether the inner queue itself knows how much room there is: items on lease or back from one take some, which it does not see. */
  private get innerKnowsRoom(): boolean {
    const { leasing, ready, mayBringSoon } = this.gets;
    return this.maxsize === 0 || (this.leases.open + leasing + ready === 0 && !mayBringSoon);
  }

  /** How many more items may come in. */
  private async roomLeft(): Promise<number> {
    let inside = await this.inner.qsize();
    while (this.gets.mayBringSoon) {
      await turnOfTheLoop();
      inside = await this.inner.qsize();
    }
    return this.maxsize - inside - this.leases.open - this.gets.leasing - this.gets.ready;
  }

  override async get(options?: WaitOptions): Promise<T> {
    const [delivery] = await this.take(1, options, false, (deliveries) => deliveries);
    return delivery!.item;
  }

  private async take<R>(
    max: number,
    options: WaitOptions | undefined,
    lease: boolean,
    bring: (deliveries: Delivery<T>[]) => R,
  ): Promise<R> {
    const wait = readOwnWait(options);
    this.checkOpen();
    if (this.shutDown !== 'not' && (await this.hasEnded())) throw new QueueShutDownError();
    wait.signal?.throwIfAborted();
    this.checkOpen();
    let count = 0;
    const brought = (deliveries: Delivery<T>[]): R => {
      count = deliveries.length;
      for (const { deliveries: times } of deliveries) if (times === 1) this.getTotal++;
      return bring(deliveries);
    };
    const taken = this.gets.take({ max, lease, options, wait, bring: brought });
    const result = taken instanceof Promise ? await watched<R>(this.descriptor, 'get', taken) : taken;
    this.roomCame();
    this.finishSoon();
    if (isTurnOver(count)) await nextTurn();
    return result;
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    this.checkOpen();
    if (typeof this.inner.lease === 'function') return this.inner.lease(options);
    const batch = await this.leaseTaken(1, options);
    return batch.leases[0]!;
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    this.checkOpen();
    if (typeof this.inner.leaseMany === 'function') return this.inner.leaseMany(max, options);
    // It may know better how to lend one than we do, who only take it.
    if (typeof this.inner.lease === 'function') return super.leaseMany(max, options);
    readAnyWait(options);
    return readMax(max, 'leaseMany') === 0 ? new HeldBatch<T>([], this.lendTaken([])) : this.leaseTaken(max, options);
  }

  private async leaseTaken(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    const { deliveries, run } = await this.take(max, options, true, (taken) => ({
      deliveries: taken,
      run: this.lendTaken(taken),
    }));
    // Closed before anybody saw the items: they have gone back.
    if (this.closed) throw new QueueClosedError();
    const batch = new HeldBatch(
      deliveries.map(({ item }) => item),
      run,
    );
    tellRedelivered(this.descriptor, batch);
    return batch;
  }

  private lendTaken(deliveries: readonly Delivery<T>[]): LeaseRun {
    return this.leases.lend(deliveries.length, {
      end: (from, to, acknowledge) => {
        if (acknowledge || this.shutDown === 'immediate') {
          this.roomCame();
          return this.finishIfDrained();
        }
        this.gets.requeue(deliveries.slice(from, to), 1);
      },
      undo: (from, to) => this.gets.requeue(deliveries.slice(from, to), 0),
      deliveries: (index) => deliveries[index]!.deliveries,
      crashes: () => 0,
    });
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    this.checkOpen();
    // One that does not lend what we lease has seen the last of it.
    const knowsLeases = typeof this.inner.lease === 'function';
    return knowsLeases && typeof this.inner.join === 'function' ? this.inner.join(options) : super.join(options);
  }

  private async isDrained(): Promise<boolean> {
    if (!(await this.inner.empty())) return false;
    const held = this.shutDown === 'immediate' ? 0 : this.leases.open;
    return held === 0 && this.gets.ready === 0;
  }

  /** Of one that was shut down: it is drained, and nothing is on its way into it or out of it. */
  private async hasEnded(): Promise<boolean> {
    const { puts, gets } = this;
    const deadline = performance.now() + ANSWER_MS;
    while (await this.isDrained()) {
      const isUnderWay = puts.open.count + gets.open.count > 0 && this.shutDown !== 'immediate';
      if (!isUnderWay || remainingMs(deadline) === 0) return true;
      await Promise.all([puts.open.settled(deadline), gets.open.settled(deadline)]);
    }
    return false;
  }

  /** Once it has ended, nothing will come any more for those who wait. */
  private async finishIfDrained(): Promise<void> {
    if (this.shutDown !== 'not' && (await this.hasEnded())) this.gets.failAll(() => new QueueShutDownError());
  }

  /** For callers that an inner queue which does not say whether it is empty should not fail. */
  private finishSoon(): void {
    if (this.shutDown !== 'not') this.finishIfDrained().catch(() => {});
  }

  override async empty(): Promise<boolean> {
    this.checkOpen();
    if (isTurnOver(1)) await nextTurn();
    return this.gets.ready === 0 && (await this.inner.empty());
  }

  override async qsize(): Promise<number> {
    this.checkOpen();
    if (isTurnOver(1)) await nextTurn();
    return this.gets.ready + (await this.inner.qsize());
  }

  override async full(): Promise<boolean> {
    this.checkOpen();
    if (isTurnOver(1)) await nextTurn();
    if (!this.innerKnowsRoom && (await this.roomLeft()) <= 0) return true;
    return typeof this.inner.full === 'function' ? this.inner.full() : super.full();
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    this.checkOpen();
    if (typeof this.inner.putMany === 'function' && !this.puts.poller.isTaken && this.innerKnowsRoom)
      return this.inner.putMany(items, options);
    return watched(this.descriptor, 'put', this.puts.putMany(items, readOwnWait(options)));
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    this.checkOpen();
    if (typeof this.inner.getMany === 'function' && this.gets.isIdle) return this.inner.getMany(max, options);
    readAnyWait(options);
    if (readMax(max) === 0) return [];
    return this.take(max, options, false, (deliveries) => deliveries.map(({ item }) => item));
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    if (typeof this.inner.shutdown === 'function') {
      await this.inner.shutdown(options);
      this.tellEnd(takesNoMore());
      return;
    }
    // The inner queue knows no shutdown: this handle takes nothing more and ends once what it can see is drained.
    const immediate = options?.immediate === true;
    if (this.shutDown !== 'immediate') this.shutDown = immediate ? 'immediate' : 'draining';
    this.puts.failAll(takesNoMore);
    if (immediate) {
      do this.gets.drop();
      while (!(await this.inner.empty()) && (await this.dropOne()));
    }
    await this.finishIfDrained();
    this.tellEnd(takesNoMore());
  }

  /** Says whether there was one. */
  private async dropOne(): Promise<boolean> {
    const options = { block: false };
    try {
      await this.gets.take({ max: 1, lease: false, options, wait: readOwnWait(options), bring: () => {} });
    } catch (error) {
      // The get that took the last one may have found the end.
      if (isEmpty(error) || error instanceof QueueShutDownError) return false;
      if (!isDecodeError(error)) throw error;
    }
    return true;
  }

  override async stats(): Promise<QueueStats> {
    this.checkOpen();
    return typeof this.inner.stats === 'function' ? this.inner.stats() : super.stats();
  }

  protected override setReferenced(referenced: boolean): void {
    if (referenced) this.inner.ref?.();
    else this.inner.unref?.();
    this.puts.setReferenced(referenced);
    this.gets.setReferenced(referenced);
  }

  override async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.tellClosing();
    this.puts.failAll(() => new QueueClosedError());
    this.gets.close();
    this.tellEnd(new QueueClosedError());
    await this.leases.lose();
    // What this handle still holds belongs to the queue.
    await this.gets.restore(this.gets.takeReturned());
    await this.inner.close?.();
  }
}
