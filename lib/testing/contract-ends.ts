/** How queues and handles end, and what they say about themselves. */
import assert from 'node:assert/strict';
import { asyncDispose } from '../util/dispose';
import type { Tests } from './harness';
import type { Queue } from '../queue/types';
import { fails, take, turn } from './harness';

export const endTests: Tests<Queue> = {
  'after shutdown nothing goes in, what is in comes out, then every get fails': async (queue) => {
    await queue.putMany(['a', 'b']);
    await queue.shutdown();
    await fails(() => queue.put('late'), 'ERR_QUEUE_SHUT_DOWN');
    await fails(() => queue.putMany(['late']), 'ERR_QUEUE_SHUT_DOWN');
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
    await fails(() => queue.get(), 'ERR_QUEUE_SHUT_DOWN');
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_SHUT_DOWN');
    await fails(() => queue.getMany(3), 'ERR_QUEUE_SHUT_DOWN');
  },

  'shutdown ends a get that waits': async (queue) => {
    const outcomes = [1, 2].map(() => fails(() => queue.get({ timeoutMs: 10_000 }), 'ERR_QUEUE_SHUT_DOWN'));
    await turn();
    await queue.shutdown();
    await Promise.all(outcomes);
  },

  'an immediate shutdown drops what is in the queue': async (queue) => {
    await queue.putMany(['a', 'b']);
    await queue.shutdown({ immediate: true });
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_SHUT_DOWN');
    await fails(() => queue.put('late'), 'ERR_QUEUE_SHUT_DOWN');
  },

  'shutdown may be called again': async (queue) => {
    await queue.put('a');
    await queue.shutdown();
    await queue.shutdown();
    assert.deepEqual(await take(queue, 1), ['a']);
    await queue.shutdown({ immediate: true });
  },

  'close ends what waits and refuses what comes later; it may be called again': async (queue) => {
    const outcome = fails(() => queue.get({ timeoutMs: 10_000 }), 'ERR_QUEUE_CLOSED');
    await turn();
    await queue.close();
    await outcome;
    await fails(() => queue.put('late'), 'ERR_QUEUE_CLOSED');
    await fails(() => queue.get(), 'ERR_QUEUE_CLOSED');
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_CLOSED');
    await fails(() => queue.qsize(), 'ERR_QUEUE_CLOSED');
    await fails(() => queue.empty(), 'ERR_QUEUE_CLOSED');
    await queue.close();
  },

  'disposal closes': async (queue) => {
    await queue[asyncDispose]();
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_CLOSED');
  },

  'ref and unref return the queue': async (queue) => {
    assert.equal(queue.unref(), queue);
    assert.equal(queue.ref(), queue);
  },

  'an unreferenced queue still serves its waiters': async (queue) => {
    queue.unref();
    const waiting = queue.get({ timeoutMs: 10_000 });
    await turn();
    await queue.put('came');
    assert.equal(await waiting, 'came');
  },

  'stats tell what the queue is and what went through it': async (queue) => {
    const before = await queue.stats();
    await queue.putMany(['a', 'b', 'c']);
    await queue.get();
    const after = await queue.stats();
    assert.equal(after.queueId, queue.descriptor.queueId);
    assert.equal(typeof after.queueType, 'string');
    assert.equal(typeof after.maxsize, 'number');
    assert.equal(after.qsize, 2);
    assert.equal(after.putTotal - before.putTotal, 3);
    assert.equal(after.getTotal - before.getTotal, 1);
  },
};
