/** Queues with a maxsize. */
import assert from 'node:assert/strict';
import type { Tests } from './harness';
import type { Lease, Queue, QueueLike } from '../queue/types';
import { fails, failsInTime, failure, fill, numbers, take, turn } from './harness';

const four: Tests<QueueLike> = {
  'takes exactly maxsize items, then fails a put at once with block: false': async (queue) => {
    const count = await fill(queue);
    const maxsize = (queue as Partial<Queue>).descriptor?.metadata.maxsize;
    if (typeof maxsize === 'number' && maxsize > 0) assert.equal(count, maxsize);
    assert.equal(await queue.qsize(), count);
    await failsInTime(() => queue.put('too many', { block: false }), 'ERR_QUEUE_FULL', 0);
    await failsInTime(() => queue.put('too many', { timeoutMs: 0 }), 'ERR_QUEUE_FULL', 0);
    assert.deepEqual(await take(queue, count), numbers(count));
    assert.equal(await queue.empty(), true);
  },

  'fails a put into a full queue within 50 ms after its timeout, not before': async (queue) => {
    const count = await fill(queue);
    await failsInTime(() => queue.put('too many', { timeoutMs: 60 }), 'ERR_QUEUE_FULL', 60);
    assert.equal(await queue.qsize(), count);
    assert.deepEqual(await take(queue, count), numbers(count));
  },

  'lets a put that waits go on as soon as there is room': async (queue) => {
    const count = await fill(queue);
    const waiting = Promise.resolve(queue.put('waited', { timeoutMs: 10_000 }));
    await turn();
    assert.equal(await queue.get(), 0);
    await waiting;
    assert.deepEqual(await take(queue, count), [...numbers(count - 1, 1), 'waited']);
  },

  'serves waiting puts in the order they were called': async (queue) => {
    const count = await fill(queue);
    const waiting = ['a', 'b', 'c'].map((item) => Promise.resolve(queue.put(item, { timeoutMs: 10_000 })));
    await turn();
    assert.deepEqual(await take(queue, count + 3), [...numbers(count), 'a', 'b', 'c']);
    await Promise.all(waiting);
    assert.equal(await queue.empty(), true);
  },

  'forgets a put whose timeout has passed': async (queue) => {
    const count = await fill(queue);
    await fails(() => queue.put('gone', { timeoutMs: 20 }), 'ERR_QUEUE_FULL');
    assert.deepEqual(await take(queue, count), numbers(count));
    assert.equal(await queue.empty(), true);
  },
};

/** What the iterator of a source may do that a putMany leaves. */
const leaving: (() => Promise<never>)[] = [
  () => {
    throw new Error('left');
  },
  () => Promise.reject(new Error('left')),
  () => new Promise(() => {}),
];

/** Numbers without an end. */
const endless = (leave: () => Promise<never>): AsyncIterable<number> => ({
  [Symbol.asyncIterator]: () => {
    let next = 0;
    return { next: () => Promise.resolve({ done: false, value: next++ }), return: leave };
  },
});

const whole: Tests<Queue> = {
  'says when it is full': async (queue) => {
    assert.equal(await queue.full(), false);
    await fill(queue);
    assert.equal(await queue.full(), true);
    await queue.get();
    assert.equal(await queue.full(), false);
  },

  'putMany that finds no room says how many went in': async (queue) => {
    const count = await fill(queue);
    await take(queue, count);
    const error = await fails(() => queue.putMany(numbers(count + 3), { block: false }), 'ERR_QUEUE_FULL');
    assert.equal(error.accepted, count);
    assert.deepEqual(await take(queue, count), numbers(count));
  },

  'putMany waits for room, in order': async (queue) => {
    const count = await fill(queue);
    const putting = queue.putMany(numbers(count * 2, count), { timeoutMs: 10_000 });
    assert.deepEqual(await take(queue, count * 3), numbers(count * 3));
    assert.equal(await putting, count * 2);
  },

  'putMany keeps its error and its time, whatever its source does when it is left': async (queue) => {
    const count = await fill(queue);
    for (const leave of leaving) {
      for (const wait of [{ timeoutMs: 40 }, { block: false }])
        assert.equal((await fails(() => queue.putMany(endless(leave), wait), 'ERR_QUEUE_FULL')).accepted, 0);
      const controller = new AbortController();
      const called = failure(() => queue.putMany(endless(leave), { signal: controller.signal }));
      await turn();
      controller.abort(new Error('enough'));
      assert.equal(((await called) as Error).message, 'enough');
    }
    assert.deepEqual(await take(queue, count), numbers(count));
  },

  'putMany that runs into its timeout says how many went in': async (queue) => {
    const count = await fill(queue);
    assert.equal(await queue.get(), 0);
    const error = await fails(() => queue.putMany(['in', 'out'], { timeoutMs: 40 }), 'ERR_QUEUE_FULL');
    assert.equal(error.accepted, 1);
    assert.deepEqual(await take(queue, count), [...numbers(count - 1, 1), 'in']);
  },

  'a put that is aborted while it waits leaves the queue as it was': async (queue) => {
    const count = await fill(queue);
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const outcome = failure(() => queue.put('aborted', { signal: controller.signal }));
    await turn();
    controller.abort(reason);
    assert.equal(await outcome, reason);
    assert.deepEqual(await take(queue, count), numbers(count));
    assert.equal(await queue.empty(), true);
  },

  'a writable stream waits for room': async (queue) => {
    const count = await fill(queue);
    const writable = queue.writable();
    const finished = new Promise<void>((resolve, reject) => writable.once('finish', resolve).once('error', reject));
    writable.write('streamed');
    writable.end();
    await turn();
    assert.equal(writable.writableFinished, false);
    assert.deepEqual(await take(queue, count + 1), [...numbers(count), 'streamed']);
    await finished;
  },

  'shutdown ends a put that waits': async (queue) => {
    const count = await fill(queue);
    const outcome = fails(() => queue.put('late', { timeoutMs: 10_000 }), 'ERR_QUEUE_SHUT_DOWN');
    await turn();
    await queue.shutdown();
    await outcome;
    assert.deepEqual(await take(queue, count), numbers(count));
  },

  'with every place on lease, an item that comes back goes to the get that waits, and its place to the put that waits':
    async (queue) => {
      const count = await fill(queue);
      const leases: Lease<unknown>[] = [];
      for (let index = 0; index < count; index++) leases.push(await queue.lease({ timeoutMs: 5000 }));
      const got = queue.get({ timeoutMs: 5000 });
      const waited = queue.put('waited', { timeoutMs: 5000 });
      await turn();
      await leases[0]!.release();
      assert.equal(await got, 0);
      await waited;
      assert.deepEqual(await take(queue, 1), ['waited']);
      for (const lease of leases) await lease.ack();
      assert.equal(await queue.empty(), true);
    },

  'an item on lease counts towards maxsize, and giving it back never overfills': async (queue) => {
    const count = await fill(queue);
    const lease = await queue.lease({ timeoutMs: 5000 });
    assert.equal(lease.item, 0);
    await fails(() => queue.put('no room', { block: false }), 'ERR_QUEUE_FULL');
    await lease.release();
    assert.equal(await queue.qsize(), count);
    const again = await queue.lease({ timeoutMs: 5000 });
    await again.ack();
    await queue.put('room', { timeoutMs: 5000 });
    assert.deepEqual(await take(queue, count), [...numbers(count - 1, 1), 'room']);
  },
};

export const boundTests = { four, whole };
