/** An inner queue that fires the signal of the call, or closes its handle, while it is asked for the first time. */
import {
  QueueDescriptor,
  QueueEmptyError,
  QueueFullError,
  registerQueueImplementation,
  resolveDescriptor,
} from '../../lib/index';
import type { Queue } from '../../lib/index';
import { Impatient } from './queues';

let end = (): unknown => undefined;

class Ending extends Impatient<number> {
  override put(): void {
    void end();
    throw new QueueFullError();
  }

  override get(): number {
    void end();
    throw new QueueEmptyError();
  }
}

class SilentlyEnding extends Impatient<number> {
  override put(): Promise<void> {
    void end();
    return Promise.reject(new QueueFullError());
  }

  override get(): Promise<number> {
    void end();
    return new Promise(() => {});
  }
}

class EndingWithAnItem extends Impatient<number> {
  override get(): number {
    void end();
    return super.get() as number;
  }
}

registerQueueImplementation('ending', Ending);
registerQueueImplementation('ending_with_an_item', EndingWithAnItem);
registerQueueImplementation('silently_ending', SilentlyEnding);

describe.each(['ending', 'silently_ending'])('%s', (queueType) => {
  let queue: Queue<number>;
  let ending: AbortController;

  beforeEach(() => {
    ending = new AbortController();
    queue = resolveDescriptor<number>(new QueueDescriptor({ queueId: 'called-off', queueType }));
  });

  afterEach(() => {
    end = () => undefined;
    return queue.close();
  });

  const calls: [string, () => Promise<unknown>][] = [
    ['get', () => queue.get({ signal: ending.signal })],
    ['leaseMany', () => queue.leaseMany(2, { signal: ending.signal })],
    ['put', () => queue.put(1, { signal: ending.signal })],
    ['putMany', () => queue.putMany([1], { signal: ending.signal })],
  ];

  test.each(calls)('%s: the signal', async (_name, call) => {
    end = () => ending.abort(new Error('enough'));
    await expect(call()).rejects.toThrow('enough');
  });

  test.each(calls)('%s: the close of the handle', async (_name, call) => {
    end = () => queue.close();
    await expect(call()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  });
});

test.each<[string, (queue: Queue<number>) => Promise<unknown>]>([
  ['get', (queue) => queue.get()],
  ['lease', (queue) => queue.lease()],
])('%s: what came as the handle was closed goes back', async (_name, call) => {
  const descriptor = new QueueDescriptor({ queueId: 'called-off', queueType: 'ending_with_an_item' });
  const queue = resolveDescriptor<number>(descriptor) as Queue<number> & EndingWithAnItem;
  await queue.put(1);
  end = () => queue.close();
  await expect(call(queue)).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
  expect(queue.items).toEqual([1]);
});
