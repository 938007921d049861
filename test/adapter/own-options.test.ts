/** A queue of the user's own gets what the caller said beside how long it waits, in every question that a call becomes. */
import { BaseQueue, QueueDescriptor, QueueEmptyError, QueueFullError } from '../../lib/index';
import type { Queue, QueueLike, WaitOptions } from '../../lib/index';
import { wrapQueue } from '../../lib/queue/adapter/wrap-queue';
import { Impatient } from './queues';
import { turn } from '../../lib/testing/harness';

type Call = (options: WaitOptions) => Promise<unknown>;

const descriptor = new QueueDescriptor({ queueId: 'own', queueType: 'own' });
const own = (options: WaitOptions): WaitOptions => ({ priority: 5, ...options }) as WaitOptions;

/** Refuses the first `refusals` puts and gets; answers at once, or in another turn. */
class Listening extends Impatient<number> {
  readonly heard: [string, unknown][] = [];

  constructor(
    private refusals: number,
    private readonly later: boolean,
    filled = 0,
  ) {
    super();
    this.items.push(...Array<number>(filled).fill(1));
  }

  private answer<R>(call: string, options: unknown, refused: Error, bring: () => R | Promise<R>): R | Promise<R> {
    this.heard.push([call, (options as { priority?: number } | undefined)?.priority]);
    const decide = (): R | Promise<R> => {
      if (this.refusals-- > 0) throw refused;
      return bring();
    };
    return this.later ? turn().then(decide) : decide();
  }

  override put(item: number, options?: WaitOptions): void | Promise<void> {
    return this.answer('put', options, new QueueFullError(), () => super.put(item));
  }

  override get(options?: WaitOptions): number | Promise<number> {
    return this.answer('get', options, new QueueEmptyError(), () => super.get() as number);
  }
}

async function* someItems(): AsyncGenerator<number> {
  yield* [1, 2];
}

describe.each([
  ['answers at once', false],
  ['answers later', true],
])('%s', (_how, later) => {
  describe.each([0, 2])('after %i refusals', (refusals) => {
    test.each<[string, (queue: ReturnType<typeof wrapQueue<number>>) => Call, number]>([
      ['put', (queue) => (options) => queue.put(1, options), 0],
      ['putMany', (queue) => (options) => queue.putMany([1, 2], options), 0],
      ['putMany of an async source', (queue) => (options) => queue.putMany(someItems(), options), 0],
      ['get', (queue) => (options) => queue.get(options), 3],
      ['getMany', (queue) => (options) => queue.getMany(5, options), 3],
      ['lease', (queue) => (options) => queue.lease(options), 3],
      ['leaseMany', (queue) => (options) => queue.leaseMany(5, options), 3],
    ])('%s', async (_call, of, filled) => {
      for (const options of [{}, { timeoutMs: 5000 }, ...(refusals === 0 ? [{ block: false }] : [])]) {
        const inner = new Listening(refusals, later, filled);
        const queue = wrapQueue<number>(inner, descriptor);
        await of(queue)(own(options));
        expect(inner.heard.length).toBeGreaterThan(refusals);
        expect(inner.heard.filter(([, priority]) => priority !== 5)).toEqual([]);
      }
    });
  });
});

test('the time of the call and its signal are not the question of an inner queue', async () => {
  const seen: unknown[] = [];
  const inner: QueueLike<number> = {
    put: (_item, options) => void seen.push(options),
    get: () => 1,
    empty: () => true,
    qsize: () => 0,
  };
  const queue = wrapQueue(inner, descriptor);
  await queue.put(1, own({ timeoutMs: 100, signal: new AbortController().signal }));
  await queue.put(1);
  expect(seen).toEqual([{ priority: 5, block: false }, { block: false }]);
});

test('what derives from BaseQueue hears them too', async () => {
  const heard: unknown[] = [];
  class Derived extends BaseQueue<number> {
    override async put(_item: number, options?: WaitOptions): Promise<void> {
      heard.push((options as { priority?: number }).priority);
    }
    override async get(options?: WaitOptions): Promise<number> {
      heard.push((options as { priority?: number }).priority);
      return 1;
    }
    override async empty(): Promise<boolean> {
      return false;
    }
    override async qsize(): Promise<number> {
      return 1;
    }
  }
  const queue = new Derived(descriptor);
  await queue.putMany([1, 2], own({}));
  await queue.putMany(someItems(), own({ block: false }));
  await queue.getMany(2, own({}));
  await queue.leaseMany(2, own({ timeoutMs: 10 }));
  expect(heard).toEqual(Array(8).fill(5));
});

test.each<[string, (queue: Queue<number>, options?: WaitOptions) => Promise<readonly unknown[]>]>([
  ['getMany', (queue, options) => queue.getMany(5, options)],
  ['leaseMany', async (queue, options) => (await queue.leaseMany(5, options)).items],
])(
  'what calls off a %s of what derives from BaseQueue, which has items by then, is no error of the next one',
  async (_call, take) => {
    const ending = new AbortController();
    const items = [1, 2, 3];
    class Heeding extends BaseQueue<number> {
      override async put(): Promise<void> {}
      override async get(options?: WaitOptions): Promise<number> {
        await turn();
        options?.signal?.throwIfAborted();
        const item = items.shift();
        if (item === undefined) throw new QueueEmptyError();
        if (item === 1) ending.abort(new Error('called off'));
        return item;
      }
      override async empty(): Promise<boolean> {
        return items.length === 0;
      }
      override async qsize(): Promise<number> {
        return items.length;
      }
    }
    const queue = new Heeding(descriptor);
    expect(await take(queue, { signal: ending.signal })).toEqual([1, 2, 3]);
    items.push(4);
    expect(await take(queue)).toEqual([4]);
  },
);
