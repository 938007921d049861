/** A put or putMany that its own source or item ends, in the middle of the call: it is over all the same, and what it says is in is in. */
import {
  attachToShmQueue,
  getLocalQueue,
  getSageQueue,
  QueueDescriptor,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue } from '../../lib/index';
import { FourOverridden, Impatient } from '../adapter/queues';

registerQueueImplementation('ended_by_itself', Impatient);

const custom = new QueueDescriptor({ queueId: 'ended-by-itself', queueType: 'ended_by_itself' });
const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('ended-by-itself'),
  shm: () => attachToShmQueue(undefined, 'ended-by-itself'),
  sage_queue: () => getSageQueue('ended-by-itself'),
  custom: () => resolveDescriptor(custom),
  derived: () => new FourOverridden(custom),
};

/** What ends a call, and what the call then says. */
const ends: [string, (queue: Queue, ending: AbortController) => unknown, object][] = [
  ['fires its signal', (_queue, ending) => ending.abort(new Error('enough')), { message: 'enough' }],
  ['closes its handle', (queue) => queue.close(), { code: 'ERR_QUEUE_CLOSED' }],
];
const shutsDown: (typeof ends)[number] = [
  'shuts its queue down',
  (queue) => queue.shutdown(),
  { code: 'ERR_QUEUE_SHUT_DOWN' },
];

/** Brings so many items, ends the call, and is silent. */
const endingAfter = (count: number, end: () => unknown): AsyncIterable<number> => ({
  [Symbol.asyncIterator]: () => {
    let asked = 0;
    const next = (): Promise<IteratorResult<number>> => {
      if (asked++ < count) return Promise.resolve({ done: false, value: asked });
      void end();
      return new Promise(() => {});
    };
    return { next };
  },
});

describe.each(Object.entries(makers))('%s', (type, make) => {
  // What derives from BaseQueue and has no shutdown of its own cannot be shut down.
  const cases = type === 'derived' ? ends : [...ends, shutsDown];

  test.each(cases.flatMap((one) => [0, 2].map((count) => [...one, count] as const)))(
    'a source that %s and is silent ends its putMany',
    async (_name, end, says, count) => {
      const queue = make();
      const other = make();
      const ending = new AbortController();
      const source = endingAfter(count, () => end(queue, ending));
      await expect(queue.putMany(source, { signal: ending.signal })).rejects.toMatchObject({
        ...says,
        accepted: count,
      });
      await other.getMany(10, { block: false }).catch(() => {});
      await Promise.all([queue.close(), other.close()]);
    },
  );
});

describe.each(ends)('an item of a schema that %s', (_name, end, says) => {
  const open = (maxsize = 0): Queue<{ a: number }> =>
    getLocalQueue('ended-by-itself-items', { maxsize, schema: { a: 'u8' } });
  let ending: AbortController;

  beforeEach(() => {
    ending = new AbortController();
  });

  const endingItem = (queue: Queue<{ a: number }>): { a: number } => ({
    get a() {
      void end(queue as Queue, ending);
      return 2;
    },
  });

  test.each<[string, (queue: Queue<{ a: number }>) => Promise<unknown>]>([
    ['put', (queue) => queue.put(endingItem(queue), { signal: ending.signal })],
    ['putMany', (queue) => queue.putMany([endingItem(queue), { a: 3 }], { signal: ending.signal })],
  ])('ends its %s, in a queue that is full or is not, and is not in', async (call, put) => {
    for (const maxsize of [1, 0]) {
      const queue = open(maxsize);
      const other = open();
      await queue.put({ a: 1 });
      await expect(put(queue)).rejects.toMatchObject(call === 'put' ? says : { ...says, accepted: 0 });
      expect(await other.getMany(10)).toEqual([{ a: 1 }]);
      await Promise.all([queue.close(), other.close()]);
      ending = new AbortController();
    }
  });
});
