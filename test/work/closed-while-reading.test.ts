/** A handle that is closed while a stream reads through it: what was shown never comes again, all else does, and nothing is shown any more. */
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { Impatient } from '../adapter/queues';
import { queueTypes, until } from './queues';

const ITEMS = 40;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Handles of one name have one inner queue. */
const inner = new Map<string, Impatient<unknown>>();
registerQueueImplementation('shared_four_methods', ({ queueId }: QueueDescriptor) => {
  if (!inner.has(queueId)) inner.set(queueId, new Impatient());
  return inner.get(queueId)!;
});

let count = 0;
const { stub: _stub, 'four methods': _four, ...others } = queueTypes;
const types: typeof queueTypes = {
  ...others,
  'four methods': async () =>
    resolveDescriptor(new QueueDescriptor({ queueId: `shared-${count++}`, queueType: 'shared_four_methods' })),
};

describe.each(Object.entries(types))('%s', (_type, make) => {
  let queue: Queue;
  let other: Queue;

  beforeEach(async () => {
    other = await make();
    await other.putMany(numbers(0, ITEMS));
    queue = resolveDescriptor(other.descriptor);
  });

  afterEach(() => queue.close());

  /** What is there for others once the close is over is what was not shown. */
  const expectTheRest = async (seen: unknown[]): Promise<void> => {
    const rest: unknown[] = [];
    await until('all that was not shown is back', async () => {
      rest.push(...(await other.getMany(ITEMS, { block: false }).catch(() => [])));
      return seen.length + rest.length >= ITEMS;
    });
    expect([...seen, ...rest].sort((one, two) => (one as number) - (two as number))).toEqual(numbers(0, ITEMS));
  };

  test.each<[string, () => unknown]>([
    ['that waits for it', () => queue.close()],
    ['that does not', () => void queue.close()],
    ['that takes its time', () => (void queue.close(), new Promise((resolve) => setTimeout(resolve, 5)))],
  ])('by a loop %s', async (_name, close) => {
    const seen: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const item of queue.readable()) if (seen.push(item) === 10) await close();
    };
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    expect(seen).toHaveLength(10);
    await expectTheRest(seen);
  });

  test('by who hears of each item', async () => {
    const seen: unknown[] = [];
    const stream = queue.readable();
    stream.on('data', (item) => seen.push(item) === 10 && void queue.close());
    const error: unknown = await new Promise((resolve) => stream.on('error', resolve));
    expect(error).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    expect(seen).toHaveLength(10);
    await expectTheRest(seen);
  });

  test('by somebody else, while the stream is paused: who asks for the next item is told', async () => {
    const seen: unknown[] = [];
    const stream = queue.readable();
    stream.on('data', (item) => seen.push(item) === 10 && stream.pause());
    await until('it is paused', () => seen.length === 10);
    await queue.close();
    await new Promise(setImmediate);
    const told = new Promise((resolve) => stream.on('error', resolve));
    expect(stream.read()).toBeNull();
    expect(await told).toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    await expectTheRest(seen);
    expect(seen).toHaveLength(10);
  });
});

test('what came as the handle was closed is not shown', async () => {
  const queue = await queueTypes.local!();
  const other = resolveDescriptor(queue.descriptor);
  const loop = queue.readable()[Symbol.asyncIterator]();
  const shown = loop.next();
  await new Promise(setImmediate);
  // The lease is answered, and the stream has not heard of it.
  await Promise.all([queue.put(1), queue.close()]);
  await expect(shown).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  expect(await other.get()).toBe(1);
  await other.close();
});
