/** An item is encoded once, however long its put waits, and however that ends: a codec's encode and the item's getters run once. */
import { QueueDescriptor, registerCodec, resolveDescriptor } from '../../lib';
import type { NativeQueue, Queue, SageOptions } from '../../lib';
import { QueueServer } from '../../lib/rpc';

/** How often each item was encoded, by its number. */
let encoded: number[] = [];
const count = (item: number): void => {
  encoded[item] = (encoded[item] ?? 0) + 1;
};

registerCodec({
  name: 'counting',
  id: 78,
  encode: (value) => {
    count(value as number);
    return Buffer.from(String(value));
  },
  decode: (bytes) => Number(Buffer.from(bytes).toString()),
});

/** By codec: an item that counts, and what it arrives as. */
const codecs: Record<string, { make(item: number): unknown; read(value: unknown): number }> = {
  counting: { make: (item) => item, read: Number },
  auto: {
    make: (item) => ({
      get item() {
        count(item);
        return item;
      },
    }),
    read: (value) => (value as { item: number }).item,
  },
  json: { make: (item) => ({ toJSON: () => (count(item), item) }), read: Number },
};

let made = 0;
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const native = (descriptor: QueueDescriptor): NativeQueue => {
  const queue = resolveDescriptor(descriptor) as NativeQueue;
  ends.push(async () => {
    queue.unlinkSync();
    queue.closeSync();
  });
  return queue;
};
const name = (): string => `encoded-once.${process.pid}.${made++}`;
async function served(backing: Queue, options: SageOptions): Promise<Queue> {
  const server = new QueueServer({ queues: { queue: backing } });
  const { port } = await server.start();
  const queue = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'queue', options)) as Queue;
  ends.unshift(
    () => queue.close(),
    () => server.stop({ graceMs: 0 }),
  );
  return queue;
}
const types: Record<string, (options: SageOptions) => Queue | Promise<Queue>> = {
  shm: (options) => native(QueueDescriptor.createShmQueue(undefined, name(), options)),
  sage_queue: (options) => native(QueueDescriptor.createSageQueue(name(), options)),
  'rpc over local': ({ maxsize, codec }) =>
    served(resolveDescriptor(QueueDescriptor.createLocalQueue(name(), { maxsize: maxsize! })) as Queue, {
      maxsize: maxsize!,
      codec: codec!,
    }),
  'rpc over sage_queue': ({ maxsize, codec }) =>
    served(native(QueueDescriptor.createSageQueue(name(), { maxsize: maxsize! })), {
      maxsize: maxsize!,
      codec: codec!,
    }),
};

type Options = { timeoutMs?: number; signal?: AbortSignal };
/** Each puts the items, of which the first is item 1. */
const calls: Record<string, (queue: Queue, items: unknown[], options: Options) => Promise<unknown>> = {
  put: (queue, items, options) => Promise.all(items.map((item) => queue.put(item, options))),
  'putMany of an array': (queue, items, options) => queue.putMany(items, options),
  'putMany of an iterable': (queue, items, options) => queue.putMany(new Set(items), options),
  'putMany of a source': (queue, items, options) =>
    queue.putMany(
      (async function* () {
        yield* items;
      })(),
      options,
    ),
};
const syncCalls: Record<string, (queue: NativeQueue, items: unknown[], options: Options) => Promise<unknown>> = {
  putSync: async (queue, items, options) => queue.putSync(items[0], options),
  putManySync: async (queue, items, options) => queue.putManySync(items, options),
};

const ITEMS = 5;
const cases = Object.keys(types).flatMap((type) => Object.keys(codecs).map((codec) => [type, codec] as const));

describe.each(cases)('%s, codec %s', (type, codec) => {
  const { make, read } = codecs[codec]!;
  let queue: Queue;
  let items: unknown[];
  const open = async (maxsize: number): Promise<void> => {
    queue = await types[type]!({ maxsize, codec });
    encoded = [];
    items = Array.from({ length: ITEMS }, (_, index) => make(index + 1));
  };
  const full = async (): Promise<void> => {
    await open(2);
    await queue.putMany([make(101), make(102)]);
    encoded = [];
  };
  const take = async (): Promise<number> => read(await queue.get());
  const numbers = Array.from({ length: ITEMS }, (_, index) => index + 1);

  test.each(Object.entries(calls))('%s', async (_name, call) => {
    await open(10);
    await call(queue, items, {});
    expect(encoded.slice(1)).toEqual(numbers.map(() => 1));

    await full();
    const waiting = call(queue, items, {});
    const arrived: number[] = [];
    while (arrived.length < ITEMS + 2) arrived.push(await take());
    await waiting;
    expect(arrived).toEqual([101, 102, ...numbers]);
    expect(encoded.slice(1)).toEqual(numbers.map(() => 1));
  });

  test.each(Object.entries(calls))('%s that is late, or aborted', async (_name, call) => {
    await full();
    await call(queue, items, { timeoutMs: 30 }).then(
      () => expect('it').toBe('late'),
      () => {},
    );
    const controller = new AbortController();
    const waiting = call(queue, items.slice().map((_, index) => make(index + 11)), { signal: controller.signal }); // prettier-ignore
    setTimeout(() => controller.abort(new Error('left')), 30);
    await waiting.then(
      () => expect('it').toBe('aborted'),
      () => {},
    );
    expect(encoded.filter((times) => times > 1)).toEqual([]);
    expect(encoded.filter((times) => times === 1).length).toBeGreaterThan(1);
    expect([await take(), await take()]).toEqual([101, 102]);
  });

  if (type.startsWith('rpc')) return;
  test.each(Object.entries(syncCalls))('%s', async (name, call) => {
    await full();
    // Beside a call that waits, and in several slices.
    const before = queue.put(make(50));
    before.catch(() => {});
    await expect(call(queue as NativeQueue, items, { timeoutMs: 250 })).rejects.toThrow();
    expect(encoded.filter((times) => times > 1)).toEqual([]);
    await take();
    await before;
    await take();
    await call(queue as NativeQueue, [make(60)], { timeoutMs: 250 });
    expect([encoded[50], encoded[60], name === 'putSync' ? encoded[1] : 1]).toEqual([1, 1, 1]);
    expect([await take(), await take()]).toEqual([50, 60]);
  });
});
