import type { Readable, Writable } from 'node:stream';
import { asyncDispose } from './dispose';
import type { QueueDescriptor } from './descriptor';
import { QueueShutDownError } from './errors';
import type { Awaitable, Lease, Queue, QueueStats, WaitOptions } from './queue';
import { deadlineOf, readMax, readWait, remainingMs } from './wait';

/** Node's own are loaded with them. */
const streams = (): typeof import('./streams') =>
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  require('./streams') as typeof import('./streams');

/**
 * Everything in `Queue` derived from put, get, empty and qsize. Types that can do better (leases that survive a crash, batches in
 * one crossing) override what they can do better.
 *
 * @example
 * class MyQueue extends BaseQueue<string> {
 *   async put(item, options) { … }   async get(options) { … }   async empty() { … }   async qsize() { … }
 * }
 */
export abstract class BaseQueue<T = unknown> implements Queue<T> {
  readonly descriptor: QueueDescriptor;

  /** For types that have nothing better: what went through this handle. */
  protected putTotal = 0;
  protected getTotal = 0;

  constructor(descriptor: QueueDescriptor) {
    this.descriptor = descriptor;
  }

  abstract put(item: T, options?: WaitOptions): Promise<void>;
  abstract get(options?: WaitOptions): Promise<T>;
  abstract empty(): Promise<boolean>;
  abstract qsize(): Promise<number>;

  /** Takes back what a lease or a stream returns. A type that can put an item in front should; the default puts it at the end. */
  protected giveBack(item: T, _deliveries: number): Awaitable<void> {
    return this.put(item);
  }

  /** `maxsize` as the descriptor has it; 0 = no limit on the number of items. */
  protected get maxsize(): number {
    const { maxsize } = this.descriptor.metadata;
    return typeof maxsize === 'number' ? maxsize : 0;
  }

  async full(): Promise<boolean> {
    return this.maxsize > 0 && (await this.qsize()) >= this.maxsize;
  }

  async putMany(items: Iterable<T> | AsyncIterable<T>, options?: WaitOptions): Promise<number> {
    const wait = readWait(options);
    const deadline = deadlineOf(wait);
    let accepted = 0;
    try {
      const putOne = async (item: T): Promise<void> => {
        await this.put(item, { timeoutMs: remainingMs(deadline), signal: wait.signal });
        accepted++;
      };
      // Not one `for await` for both: over a synchronous source it would await items that are themselves promises.
      if (isIterable(items)) for (const item of items) await putOne(item);
      else for await (const item of items) await putOne(item);
    } catch (error) {
      throw withAccepted(error, accepted);
    }
    return accepted;
  }

  async getMany(max: number, options?: WaitOptions): Promise<T[]> {
    readWait(options);
    if (readMax(max) === 0) return [];
    const items = [await this.get(options)];
    try {
      while (items.length < max) items.push(await this.get({ block: false }));
    } catch {
      // Empty is how a batch ends; any other error comes again at the next call, and what is taken must not be lost to it.
    }
    return items;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    const leaving = new AbortController();
    const done = { done: true, value: undefined } as const;
    return {
      next: async () => {
        if (leaving.signal.aborted) return done;
        try {
          return { done: false, value: await this.get({ signal: leaving.signal }) };
        } catch (error) {
          if (error instanceof QueueShutDownError || error === leaving.signal.reason) return done;
          throw error;
        }
      },
      // A get that still waits is called off, so that no item goes to a loop that has left.
      return: async () => {
        leaving.abort(done);
        return done;
      },
    };
  }

  readable(): Readable {
    return new (streams().QueueReadable)(this);
  }

  writable(options?: { shutdown?: boolean }): Writable {
    return new (streams().QueueWritable)(this, options?.shutdown === true);
  }

  /** A loan within this process: release gives the item back, the death of the process does not. */
  async lease(options?: WaitOptions): Promise<Lease<T>> {
    return this.loan(await this.get(options), 1);
  }

  protected loan(item: T, deliveries: number): Lease<T> {
    let open = true;
    const release = async (): Promise<void> => {
      if (!open) return;
      open = false;
      await this.giveBack(item, deliveries);
    };
    return {
      item,
      deliveries,
      ack: async () => void (open = false),
      release,
      [asyncDispose]: release,
    };
  }

  async shutdown(_options?: { immediate?: boolean }): Promise<void> {
    throw new TypeError(
      `Queues of type '${this.descriptor.queueType}' cannot be shut down: override shutdown() in the implementation.`,
    );
  }

  async close(): Promise<void> {}

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  async stats(): Promise<QueueStats> {
    return {
      queueId: this.descriptor.queueId,
      queueType: this.descriptor.queueType,
      qsize: await this.qsize(),
      maxsize: this.maxsize,
      putTotal: this.putTotal,
      getTotal: this.getTotal,
    };
  }

  /** What console.log shows: one line instead of everything inside. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    const { queueType, queueId } = this.descriptor;
    // Not every type says so of itself.
    const { closed } = this as { closed?: unknown };
    const state = typeof closed === 'boolean' ? (closed ? ', closed' : ', open') : '';
    return `${this.constructor.name}(${queueType}:${queueId}${state})`;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Not by `in`: a string is iterable too. */
const isIterable = <T>(items: Iterable<T> | AsyncIterable<T>): items is Iterable<T> =>
  typeof (items as Partial<Iterable<T>> | null | undefined)?.[Symbol.iterator] === 'function';

/** The error itself where it can carry the count. */
export function withAccepted(error: unknown, accepted: number): unknown {
  if (typeof error === 'object' && error !== null) {
    try {
      Object.defineProperty(error, 'accepted', {
        value: accepted,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } catch {
      // A frozen reason stays as it is.
    }
  }
  return error;
}
