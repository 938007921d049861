/** How servers and consumers begin and end: with what they are given, with their queue, and with their process. */
import { QueueDescriptor } from '../../lib';
import { consume, serve } from '../../lib/work';
import type { Consumer } from '../../lib/work';
import { describeQueue, run } from '../shm/child';

const bare = { put() {}, get() {}, empty: () => true, qsize: () => 0 };

describe.each<[string, (queue: never, handler: () => void) => Consumer]>([
  ['serve', serve],
  ['consume', consume],
])('%s', (name, start) => {
  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a descriptor', QueueDescriptor.createLocalQueue('not-a-queue')],
    ['what has four methods alone', bare],
  ])('%s is no queue, and starts nothing', (_what, given) => {
    const timers = jest.spyOn(globalThis, 'setInterval');
    expect(() => start(given as never, () => {})).toThrow(`${name} takes a queue as resolveDescriptor gives it, found`);
    expect(timers).not.toHaveBeenCalled();
    timers.mockRestore();
  });

  // A rejection of `done` that nobody handles ends the process, as any; what somebody handles does not.
  test.each([
    ['nobody handles', false, ['OUT_OF_ORDER']],
    ['somebody handles', true, []],
  ])('a queue that fails is a rejection that %s', async (_who, isHandled, heard) => {
    const program = `
      const { ${name} } = require('sage-queue/work');
      process.on('unhandledRejection', ({ code }) => say(code));
      const queue = open();
      queue.leaseMany = () => Promise.reject(Object.assign(new Error(), { code: 'OUT_OF_ORDER' }));
      const { done } = ${name}(queue, () => {});
      if (given[0]) done.catch(() => {});
      setTimeout(() => queue.close(), 100);
    `;
    expect(await run(program, describeQueue('sage_queue'), [isHandled])).toEqual(heard);
  });
});

test('a server whose queue was closed ends without a word', async () => {
  const program = `
    const { serve } = require('sage-queue/work');
    process.on('unhandledRejection', ({ code }) => say(code));
    const queue = open();
    serve(queue, () => {});
    queue.close();
  `;
  expect(await run(program, describeQueue('sage_queue'))).toEqual([]);
});

test('a process whose queue keeps it no longer ends once nothing runs, long before the timeout of its handlers', async () => {
  const program = `
    const { getLocalQueue } = require('sage-queue');
    const { consume } = require('sage-queue/work');
    const queue = getLocalQueue('ends');
    queue.unref();
    consume(queue, async (item) => say(item), { timeoutMs: 3_600_000, concurrency: 2 });
    void queue.putMany([1, 2, 3]);
  `;
  expect(await run(program, null)).toEqual([1, 2, 3]);
});
