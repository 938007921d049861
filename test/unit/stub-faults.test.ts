import { QueueDescriptor } from '../../lib/index';
import { StubQueue } from '../../lib/testing';

test('failNext takes an error, and refuses what is none at once', async () => {
  const queue = new StubQueue(QueueDescriptor.createLocalQueue('fixwrap'));
  for (const bad of [null, undefined, 5, 'text'])
    expect(() => queue.failNext(bad as unknown as Error)).toThrow(TypeError);
  await queue.put(1);
  const fault = new Error('scripted');
  queue.failNext(fault);
  await expect(queue.get()).rejects.toBe(fault);
  expect(await queue.get()).toBe(1);
});

test('a fault strikes a loop, too', async () => {
  const queue = new StubQueue(QueueDescriptor.createLocalQueue('fixwrap'));
  await queue.putMany([1, 2]);
  const loop = queue[Symbol.asyncIterator]();
  expect(await loop.next()).toEqual({ done: false, value: 1 });
  const fault = new Error('scripted');
  queue.failNext(fault);
  await expect(loop.next()).rejects.toBe(fault);
  expect(await loop.next()).toEqual({ done: false, value: 2 });
});
