import { BaseQueue } from '../base-queue';
import { LeaseTable } from '../lease-table';
import { payingOwedErrors } from '../owed-error';
import { asyncDispose } from '../../util/dispose';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueClosedError, QueueShutDownError } from '../../errors';
import { InnerGets } from './get-scheduler';
import type { Delivery } from './get-scheduler';
import { InnerPuts } from './put-scheduler';
import { isEmpty, tellsOfAnItem } from './timing';
import { describeValue } from '../../util/describe-value';
import type { Awaitable, Lease, LeaseBatch, Queue, QueueLike, QueueStats, WaitOptions } from '../types';
import { readAnyWait } from '../../wait/options';
import type { Wait } from '../../wait/options';

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
    ...[...queueMethods, Symbol.asyncIterator, asyncDispose].map(
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

const takesNoMore = (): QueueShutDownError =>
  new QueueShutDownError('The queue was shut down and takes no more items.');

const AT_ONCE: Wait = { timeoutMs: 0, signal: undefined };

class WrappedQueue<T> extends BaseQueue<T> {
  private closed = false;
  private shutDown = false;
  private readonly puts: InnerPuts<T>;
  private readonly gets: InnerGets<T>;
  private readonly leases = new LeaseTable();

  constructor(
    private readonly inner: Partially<T>,
    descriptor: QueueDescriptor,
  ) {
    super(descriptor);
    this.puts = new InnerPuts(
      inner,
      () => this.hasRoom(),
      () => this.putTotal++,
    );
    this.gets = new InnerGets(inner, () => this.finishSoon());
  }

  private checkOpen(): void {
    if (this.closed) throw new QueueClosedError();
  }

  private checkOpenForPuts(): void {
    this.checkOpen();
    if (this.shutDown) throw takesNoMore();
  }

  /**
   * An inner put cannot be called off. At its timeout, an abort, shutdown or close the call ends a moment later than it should where the
   * inner queue does not answer, and then with `outcome: 'unknown'` (but with the signal's own reason after an abort): the item may
   * still go in. Until the inner queue has answered, it is asked for no other put of this handle; those wait, or find it full.
   */
  override async put(item: T, options?: WaitOptions): Promise<void> {
    const wait = readAnyWait(options);
    this.checkOpenForPuts();
    await this.puts.put(item, wait);
  }

  /** Items that came back from leases take room, which the inner queue does not know of; those on lease may come back. */
  private hasRoom(): Awaitable<boolean> {
    if (this.maxsize === 0 || (this.leases.open === 0 && this.gets.ready === 0)) return true;
    return this.qsize().then((qsize) => qsize + this.leases.open < this.maxsize);
  }

  override async get(options?: WaitOptions): Promise<T> {
    return (await this.take(options)).item;
  }

  private async take(options?: WaitOptions): Promise<Delivery<T>> {
    const wait = readAnyWait(options);
    this.checkOpen();
    if (this.shutDown && (await this.isDrained())) throw new QueueShutDownError();
    this.checkOpen();
    const delivery = await this.gets.take(options, wait);
    if (delivery.deliveries === 1) this.getTotal++;
    this.finishSoon();
    return delivery;
  }

  protected override throwNext(error: unknown): void {
    this.gets.keep({ error }, 'first');
  }

  override async lease(options?: WaitOptions): Promise<Lease<T>> {
    this.checkOpen();
    if (typeof this.inner.lease === 'function') return this.inner.lease(options);
    const delivery = await this.take(options);
    const run = this.leases.lend(1, {
      end: (_from, _to, acknowledge) => {
        if (acknowledge) return this.finishIfDrained();
        this.gets.requeue(delivery);
      },
      deliveries: () => delivery.deliveries,
      crashes: () => 0,
    });
    if (this.closed) {
      await run.end(0, 1, false);
      throw new QueueClosedError();
    }
    return run.lease(0, delivery.item);
  }

  override async leaseMany(max: number, options?: WaitOptions): Promise<LeaseBatch<T>> {
    this.checkOpen();
    return typeof this.inner.leaseMany === 'function'
      ? this.inner.leaseMany(max, options)
      : super.leaseMany(max, options);
  }

  override async join(options?: Omit<WaitOptions, 'block'>): Promise<void> {
    this.checkOpen();
    return typeof this.inner.join === 'function' ? this.inner.join(options) : super.join(options);
  }

  private async isDrained(): Promise<boolean> {
    return this.leases.open === 0 && this.gets.ready === 0 && (await this.inner.empty());
  }

  /** Once shut down and drained, nothing will come any more for those who wait. */
  private async finishIfDrained(): Promise<void> {
    if (this.shutDown && (await this.isDrained())) this.gets.failAll(() => new QueueShutDownError());
  }

  /** For callers that an inner queue which does not say whether it is empty should not fail. */
  private finishSoon(): void {
    if (this.shutDown) this.finishIfDrained().catch(() => {});
  }

  override async empty(): Promise<boolean> {
    this.checkOpen();
    return this.gets.ready === 0 && (await this.inner.empty());
  }

  override async qsize(): Promise<number> {
    this.checkOpen();
    return this.gets.ready + (await this.inner.qsize());
  }

  override async full(): Promise<boolean> {
    this.checkOpen();
    return typeof this.inner.full === 'function' ? this.inner.full() : super.full();
  }

  override async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    this.checkOpen();
    return typeof this.inner.putMany === 'function'
      ? this.inner.putMany(items, options)
      : super.putMany(items, options);
  }

  override async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    this.checkOpen();
    return typeof this.inner.getMany === 'function' && this.gets.ready === 0
      ? this.inner.getMany(max, options)
      : super.getMany(max, options);
  }

  override async shutdown(options?: { immediate?: boolean }): Promise<void> {
    if (typeof this.inner.shutdown === 'function') {
      await this.inner.shutdown(options);
      this.tellEnd(takesNoMore());
      return;
    }
    // The inner queue knows no shutdown: this handle takes nothing more and ends once what it can see is drained.
    this.shutDown = true;
    this.puts.failAll(takesNoMore);
    if (options?.immediate === true) {
      do this.gets.takeReturned();
      while (!(await this.inner.empty()) && (await this.dropOne()));
    }
    await this.finishIfDrained();
    this.tellEnd(takesNoMore());
  }

  /** Says whether there was one. */
  private async dropOne(): Promise<boolean> {
    try {
      await this.gets.take({ block: false }, AT_ONCE);
    } catch (error) {
      if (isEmpty(error)) return false;
      if (!tellsOfAnItem(error)) throw error;
    }
    return true;
  }

  override async stats(): Promise<QueueStats> {
    this.checkOpen();
    return typeof this.inner.stats === 'function' ? this.inner.stats() : super.stats();
  }

  override ref(): this {
    this.inner.ref?.();
    this.puts.setReferenced(true);
    this.gets.setReferenced(true);
    return this;
  }

  override unref(): this {
    this.inner.unref?.();
    this.puts.setReferenced(false);
    this.gets.setReferenced(false);
    return this;
  }

  override async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.puts.failAll(() => new QueueClosedError());
    this.gets.close();
    this.tellEnd(new QueueClosedError());
    await this.leases.lose();
    // What this handle still holds belongs to the queue.
    for (const item of this.gets.takeReturned()) await this.inner.put(item);
    await this.inner.close?.();
  }
}
