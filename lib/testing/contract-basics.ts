/** Put, get, empty and qsize: all that any queue must offer. */
import assert from 'node:assert/strict';
import type { Tests } from './harness';
import type { QueueLike } from '../queue/types';
import { fails, failsInTime, failsWithRangeError, take, turn } from './harness';

export const basicTests: Tests<QueueLike> = {
  'starts empty': async (queue) => {
    assert.equal(await queue.empty(), true);
    assert.equal(await queue.qsize(), 0);
  },

  'gives items in the order they were put, and counts them': async (queue) => {
    for (let i = 0; i < 3; i++) await queue.put(`item ${i}`);
    assert.equal(await queue.qsize(), 3);
    assert.equal(await queue.empty(), false);
    assert.deepEqual(await take(queue, 3), ['item 0', 'item 1', 'item 2']);
    assert.equal(await queue.qsize(), 0);
    assert.equal(await queue.empty(), true);
  },

  'keeps the order over many turns of put and get': async (queue) => {
    for (let i = 0; i < 200; i++) {
      await queue.put(i);
      assert.equal(await queue.get(), i);
    }
  },

  'takes null, false, 0 and the empty string for items like any other': async (queue) => {
    for (const item of [null, false, 0, '']) {
      await queue.put(item);
      assert.equal(await queue.empty(), false);
      assert.equal(await queue.get({ block: false }), item);
    }
  },

  'fails an empty get at once with block: false': async (queue) => {
    await failsInTime(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY', 0);
    assert.equal(await queue.qsize(), 0);
  },

  'fails an empty get at once with timeoutMs: 0, even with block: true': async (queue) => {
    await failsInTime(() => queue.get({ timeoutMs: 0 }), 'ERR_QUEUE_EMPTY', 0);
    await failsInTime(() => queue.get({ block: true, timeoutMs: 0 }), 'ERR_QUEUE_EMPTY', 0);
  },

  'does not wait with block: false, whatever the timeout': async (queue) => {
    await failsInTime(() => queue.get({ block: false, timeoutMs: 10_000 }), 'ERR_QUEUE_EMPTY', 0);
  },

  'fails an empty get within 50 ms after its timeout, not before': async (queue) => {
    await failsInTime(() => queue.get({ timeoutMs: 60 }), 'ERR_QUEUE_EMPTY', 60);
    await queue.put('after');
    assert.equal(await queue.get({ timeoutMs: 60 }), 'after');
  },

  'refuses negative and NaN timeouts with a RangeError, and changes nothing': async (queue) => {
    await queue.put('kept');
    for (const timeoutMs of [-1, -0.5, -Infinity, NaN]) {
      await failsWithRangeError(() => queue.get({ timeoutMs }));
      await failsWithRangeError(() => queue.put('refused', { timeoutMs }));
    }
    assert.equal(await queue.qsize(), 1);
    assert.equal(await queue.get(), 'kept');
  },

  'takes an infinite timeout for no timeout': async (queue) => {
    const waiting = Promise.resolve(queue.get({ timeoutMs: Infinity }));
    await turn();
    await queue.put('came');
    assert.equal(await waiting, 'came');
  },

  'lets a get that waits meet a put that comes later': async (queue) => {
    const waiting = Promise.resolve(queue.get({ timeoutMs: 10_000 }));
    await turn();
    await queue.put('late');
    assert.equal(await waiting, 'late');
    assert.equal(await queue.empty(), true);
  },

  'serves waiting gets in the order they were called': async (queue) => {
    const waiting = [1, 2, 3, 4].map(() => Promise.resolve(queue.get({ timeoutMs: 10_000 })));
    await turn();
    for (const item of ['first', 'second', 'third', 'fourth']) await queue.put(item);
    assert.deepEqual(await Promise.all(waiting), ['first', 'second', 'third', 'fourth']);
  },

  'gives nothing to a get whose timeout has passed': async (queue) => {
    await fails(() => queue.get({ timeoutMs: 20 }), 'ERR_QUEUE_EMPTY');
    await queue.put('for the next');
    assert.equal(await queue.qsize(), 1);
    assert.equal(await queue.get(), 'for the next');
  },
};
