/** A `for await` over `readable()`: most items come at hand, without Node's iterator, and all the same none is lost, doubled or out of order. */
import type { Readable } from 'node:stream';
import { SerializationError } from '../../lib';
import type { Queue } from '../../lib';
import { queueTypes, until } from './queues';

const ITEMS = 300;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Not by `once`, which an error ends: a loop that is left ends its stream with one. */
const closed = (stream: Readable): Promise<void> =>
  new Promise((resolve) => (stream.closed ? resolve() : stream.once('close', resolve)));

describe.each(Object.entries(queueTypes))('%s', (_type, make) => {
  const filled = async (items: unknown[] = numbers(0, ITEMS)): Promise<Queue> => {
    const queue = await make();
    await queue.putMany(items);
    return queue;
  };
  const left = async (queue: Queue): Promise<unknown[]> => {
    const items: unknown[] = [];
    while (!(await queue.empty())) items.push(...(await queue.getMany(ITEMS)));
    return items;
  };

  test('every item, in order, until the queue is shut down', async () => {
    const queue = await filled();
    await queue.shutdown();
    const seen: unknown[] = [];
    for await (const item of queue.readable()) seen.push(item);
    expect(seen).toEqual(numbers(0, ITEMS));
  });

  test('a loop that is left has taken what it has seen, and the rest is there in order', async () => {
    const queue = await filled();
    const seen: unknown[] = [];
    const stream = queue.readable();
    for await (const item of stream) if (seen.push(item) === 200) break;
    await closed(stream);
    expect([...seen, ...(await left(queue))]).toEqual(numbers(0, ITEMS));
    expect(seen).toHaveLength(200);
  });

  test('a stream that is destroyed ends its loop with the error; what the loop has not seen goes back', async () => {
    const queue = await filled();
    const stream = queue.readable();
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const item of stream) if (seen.push(item) === 100) stream.destroy(new Error('enough'));
    })();
    await expect(loop).rejects.toThrow('enough');
    await closed(stream);
    expect([...seen, ...(await left(queue))]).toEqual(numbers(0, ITEMS));
    expect(seen).toHaveLength(100);
  });

  test('one who reads beside the loop gets what comes next, and so does one who does not wait for an answer', async () => {
    const queue = await filled();
    await queue.shutdown();
    const stream = queue.readable();
    const loop = stream[Symbol.asyncIterator]();
    const seen: unknown[] = [];
    for (let step = 0; step < 20; step++) {
      const results = await Promise.all(Array.from({ length: 1 + (step % 4) }, () => loop.next()));
      for (const result of results) seen.push(result.value);
      const beside: unknown = stream.read();
      if (beside !== null) seen.push(beside);
    }
    for (let result = await loop.next(); result.done !== true; result = await loop.next()) seen.push(result.value);
    expect(seen).toEqual(numbers(0, ITEMS));
  });

  test('calls made at any moment while others wait are answered in order', async () => {
    const queue = await filled(numbers(0, 10));
    const loop = queue.readable()[Symbol.asyncIterator]();
    const calls = Array.from({ length: 13 }, () => loop.next());
    await calls[9];
    const putting = queue.putMany(numbers(10, 60));
    while (calls.length < 60) {
      calls.push(loop.next());
      await null;
      if (calls.length % 10 === 0) await new Promise(setImmediate);
    }
    await putting;
    expect((await Promise.all(calls)).map(({ value }) => value as unknown)).toEqual(numbers(0, 60));
    await loop.return!();
  });

  test('a loop that is left while it waits ends at once, and takes nothing', async () => {
    const queue = await filled([1]);
    const stream = queue.readable();
    const loop = stream[Symbol.asyncIterator]();
    expect(await loop.next()).toEqual({ done: false, value: 1 });
    const waiting = loop.next();
    await loop.return!();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await closed(stream);
    await queue.put(2);
    expect(await left(queue)).toEqual([2]);
  });

  test('a loop that was left before its first item has taken nothing, and gives none', async () => {
    const queue = await filled([1]);
    const loop = queue.readable()[Symbol.asyncIterator]();
    await loop.return!();
    for (let step = 0; step < 3; step++) expect(await loop.next()).toEqual({ done: true, value: undefined });
    expect(await left(queue)).toEqual([1]);
  });

  test('who listens beside the loop hears of each item that it gets', async () => {
    const queue = await filled(numbers(0, 20));
    await queue.shutdown();
    const stream = queue.readable();
    const heard: unknown[] = [];
    const seen: unknown[] = [];
    stream.on('data', (item) => heard.push(item));
    for await (const item of stream) seen.push(item);
    expect(seen).toEqual(numbers(0, 20));
    expect(heard).toEqual(seen);
  });

  test('what the loop has seen is acknowledged before the program does anything else', async () => {
    const queue = await filled(numbers(0, 50));
    const stream = queue.readable();
    const loop = stream[Symbol.asyncIterator]();
    for (let count = 0; count < 30; count++) await loop.next();
    if ((await queue.stats()).leased !== undefined)
      await until('30 are acknowledged', async () => {
        const { qsize, leased = 0 } = await queue.stats();
        return qsize + leased <= 20;
      });
    await loop.return!();
    await closed(stream);
    expect(await left(queue)).toEqual(numbers(30, 50));
  });

  test('an item that no object stream can carry ends the loop, after those before it, and stays', async () => {
    const queue = await filled([...numbers(0, 40), null, 41]);
    const seen: unknown[] = [];
    const stream = queue.readable();
    const loop = (async () => {
      for await (const item of stream) seen.push(item);
    })();
    await expect(loop).rejects.toThrow(SerializationError);
    await closed(stream);
    expect([...seen, ...(await left(queue))]).toEqual([...numbers(0, 40), null, 41]);
  });
});
