/** What a source changes of its own queue while its call is being served reaches those who wait. */
import { getLocalQueue } from '../../lib/index';
import type { Lease, Queue } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

/** Serves a putMany behind another one, whose source does this as it is asked for its first item. */
async function whileServed(queue: Queue, act: () => void): Promise<void> {
  let end = (): void => {};
  const before = queue.putMany({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise<IteratorResult<never>>((resolve) => (end = () => resolve({ done: true, value: undefined }))),
    }),
  });
  const acting = queue.putMany({
    *[Symbol.iterator]() {
      act();
    },
  });
  end();
  await Promise.all([before, acting]);
}

let queue: Queue;
let waiting: Promise<unknown>;
const told = jest.fn();

const wait = (): void => {
  told.mockClear();
  waiting = queue.get();
  waiting.then(told, told);
};

beforeEach(() => {
  queue = getLocalQueue('local-serving', { maxsize: 1 });
});

afterEach(() => queue.close());

test('a shutdown ends the gets that wait', async () => {
  wait();
  await whileServed(queue, () => void queue.shutdown());
  await turn();
  expect(told).toHaveBeenCalledWith(expect.objectContaining({ code: 'ERR_QUEUE_SHUT_DOWN' }));
});

test('what it gives back goes to the get that waits', async () => {
  await queue.put('held');
  const held: Lease<unknown> = await queue.lease();
  wait();
  await whileServed(queue, () => void held.release());
  await turn();
  expect(told).toHaveBeenCalledWith('held');
});
