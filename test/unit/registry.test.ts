import {
  BaseQueue,
  closeAllQueues,
  getLocalQueue,
  getRegisteredQueueTypes,
  QueueClosedError,
  QueueDescriptor,
  registerQueueImplementation,
  resolveDescriptor,
  UnknownQueueTypeError,
  unregisterQueueImplementation,
} from '../../lib/index';
import type { QueueImplementation, QueueLike, ResolveOptions } from '../../lib/index';
import { StubQueue } from '../../lib/testing';

class Custom implements QueueLike {
  readonly #items: unknown[] = [];
  readonly param: unknown;

  constructor(
    readonly descriptor: QueueDescriptor,
    readonly options?: ResolveOptions,
  ) {
    this.param = descriptor.metadata.custom_param;
  }

  put(item: unknown): void {
    this.#items.push(item);
  }

  get(): unknown {
    return this.#items.shift();
  }

  empty(): boolean {
    return this.#items.length === 0;
  }

  qsize(): number {
    return this.#items.length;
  }

  peek(): unknown {
    return this.#items[0];
  }
}

const custom = new QueueDescriptor({
  queueId: 'custom_test',
  queueType: 'my_custom',
  metadata: { custom_param: 'value' },
});

afterEach(() => {
  unregisterQueueImplementation('my_custom');
});

test('a custom type is registered, resolved and used, and still shows what is its own', async () => {
  registerQueueImplementation('my_custom', Custom);
  expect(getRegisteredQueueTypes()).toContain('my_custom');
  const queue = resolveDescriptor<string>(JSON.stringify(custom));
  await queue.put('Hello Custom Queue!');
  expect(await queue.qsize()).toBe(1);
  expect(queue).toBeInstanceOf(Custom);
  expect((queue as unknown as Custom).param).toBe('value');
  expect((queue as unknown as Custom).peek()).toBe('Hello Custom Queue!');
  expect(await queue.getMany(5, { block: false })).toContain('Hello Custom Queue!');
  expect(queue.put).toBe(queue.put);
});

test('a function without a prototype is called, one with a prototype is constructed', () => {
  const seen: unknown[] = [];
  registerQueueImplementation('my_custom', (descriptor, options) => {
    seen.push(descriptor, options);
    return new Custom(descriptor);
  });
  resolveDescriptor(custom, { create: 'never' });
  expect(seen).toEqual([custom, { create: 'never' }]);
  function Old(this: { made: boolean }, descriptor: QueueDescriptor): QueueLike {
    expect(new.target).toBeDefined();
    return new Custom(descriptor);
  }
  registerQueueImplementation('my_custom', Old as unknown as QueueImplementation);
  resolveDescriptor(custom);
});

test('an unknown type is named, with those that are registered', () => {
  const resolve = (): unknown => resolveDescriptor(custom);
  expect(resolve).toThrow(UnknownQueueTypeError);
  expect(resolve).toThrow(/my_custom.*local/);
});

test('registering null or a non-function is a TypeError and changes nothing', () => {
  registerQueueImplementation('my_custom', Custom);
  for (const bad of [null, undefined, 1, {}, 'x']) {
    expect(() => registerQueueImplementation('my_custom', bad as unknown as QueueImplementation)).toThrow(TypeError);
  }
  expect(resolveDescriptor(custom)).toBeInstanceOf(Custom);
  expect(() => registerQueueImplementation('', Custom)).toThrow(TypeError);
});

test('unregistering says whether there was one', () => {
  registerQueueImplementation('my_custom', Custom);
  expect(unregisterQueueImplementation('my_custom')).toBe(true);
  expect(unregisterQueueImplementation('my_custom')).toBe(false);
});

test('types are sorted, and local is there from the start', () => {
  const types = getRegisteredQueueTypes();
  expect(types).toEqual([...types].sort());
  expect(types).toContain('local');
});

test('an implementation that gives no queue is a TypeError', () => {
  for (const made of [null, undefined, 1, {}, { put() {}, get() {} }]) {
    registerQueueImplementation('my_custom', () => made as unknown as QueueLike);
    expect(() => resolveDescriptor(custom)).toThrow(TypeError);
  }
});

test('a subclass of BaseQueue is used as it is', () => {
  class Own extends BaseQueue {
    async put(): Promise<void> {}
    async get(): Promise<unknown> {
      return 1;
    }
    async empty(): Promise<boolean> {
      return false;
    }
    async qsize(): Promise<number> {
      return 1;
    }
  }
  registerQueueImplementation('my_custom', Own);
  expect(resolveDescriptor(custom).constructor).toBe(Own);
});

test('closeAllQueues closes what was resolved', async () => {
  const one = getLocalQueue('close-all');
  const waiting = expect(getLocalQueue('close-all').get()).rejects.toThrow(QueueClosedError);
  await closeAllQueues();
  await waiting;
  await expect(one.qsize()).rejects.toThrow(QueueClosedError);
});

test('… all of it, where one of them throws as it is closed', async () => {
  class Unruly extends StubQueue {
    override close(): Promise<void> {
      throw new Error('unruly');
    }
  }
  registerQueueImplementation('unruly', Unruly);
  resolveDescriptor(new QueueDescriptor({ queueId: 'unruly', queueType: 'unruly' }));
  const one = getLocalQueue('close-all');
  await expect(closeAllQueues()).rejects.toThrow('unruly');
  await expect(one.qsize()).rejects.toThrow(QueueClosedError);
  unregisterQueueImplementation('unruly');
});

test('a fault of the stub strikes whatever call is next, a batch and a stream too', async () => {
  const calls: Record<string, (queue: StubQueue) => Promise<unknown>> = {
    putMany: (queue) => queue.putMany([1, 2]),
    'putMany of an iterable': (queue) => queue.putMany(new Set([1, 2])),
    getMany: (queue) => queue.getMany(2),
    lease: (queue) => queue.lease(),
    iteration: (queue) => queue[Symbol.asyncIterator]().next(),
    writable: (queue) =>
      new Promise((resolve, reject) => queue.writable().on('error', reject).on('finish', resolve).end(1)),
  };
  for (const [name, call] of Object.entries(calls)) {
    const queue = new StubQueue(custom);
    const fault = Object.assign(new Error(`scripted for ${name}`), {});
    queue.failNext(fault);
    await expect(call(queue)).rejects.toBe(fault);
    if (name.startsWith('putMany')) expect(fault).toHaveProperty('accepted', 0);
    expect(await queue.qsize()).toBe(0);
  }
});

test('the stub fails as scripted, once per fault, and stands in for any type', async () => {
  registerQueueImplementation('my_custom', StubQueue.sharing());
  const [one, two] = [resolveDescriptor(custom) as unknown as StubQueue, resolveDescriptor(custom)];
  one.failNext(new Error('scripted'));
  await expect(one.put('lost')).rejects.toThrow('scripted');
  await one.put('kept');
  expect(await two.get()).toBe('kept');
});
