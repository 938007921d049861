/** Items on lease. */
import assert from 'node:assert/strict';
import { asyncDispose } from '../util/dispose';
import type { Tests } from './harness';
import type { Queue } from '../queue/types';
import { fails, failsWithRangeError, take, turn } from './harness';

const wait = { timeoutMs: 10_000 };

export const leaseTests: Tests<Queue> = {
  'a lease that is acknowledged never comes again': async (queue) => {
    await queue.put('job');
    const lease = await queue.lease(wait);
    assert.equal(lease.item, 'job');
    assert.equal(lease.deliveries, 1);
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY');
    await lease.ack();
    await lease.release();
    await lease[asyncDispose]();
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY');
  },

  'a released lease comes again, ahead of every item not yet taken': async (queue) => {
    await queue.putMany(['a', 'b']);
    const lease = await queue.lease(wait);
    await lease.release();
    await lease.ack();
    const again = await queue.lease(wait);
    assert.equal(again.item, 'a');
    assert.equal(again.deliveries, 2);
    await again.release();
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
    assert.equal(await queue.empty(), true);
  },

  'disposal before ack gives the item back': async (queue) => {
    await queue.put('a');
    const lease = await queue.lease(wait);
    await lease[asyncDispose]();
    assert.deepEqual(await take(queue, 1), ['a']);
  },

  'a lease that has ended does nothing to the next one of its item': async (queue) => {
    await queue.putMany(['job', 'other']);
    const first = await queue.lease(wait);
    await first.release();
    const second = await queue.lease(wait);
    assert.equal(second.item, 'job');
    await first.ack();
    await first.release();
    await first[asyncDispose]();
    assert.deepEqual(await take(queue, 1), ['other']);
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY');
    await second.release();
    const third = await queue.lease(wait);
    assert.equal(third.item, 'job');
    await second.ack();
    await third.ack();
    assert.equal(await queue.empty(), true);
  },

  'items that come back come in the order they had, whatever the order of their releases': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    const leases = [await queue.lease(wait), await queue.lease(wait), await queue.lease(wait)];
    for (const index of [1, 0, 2]) await leases[index]!.release();
    assert.deepEqual(await take(queue, 3), ['a', 'b', 'c']);
  },

  'traffic passes a lease that is held': async (queue) => {
    await queue.putMany(['held', 'b']);
    const lease = await queue.lease(wait);
    assert.deepEqual(await take(queue, 1), ['b']);
    for (let i = 0; i < 50; i++) {
      await queue.put(i, wait);
      assert.equal(await queue.get(wait), i);
    }
    await queue.put('last', wait);
    await lease.release();
    assert.deepEqual(await take(queue, 2), ['held', 'last']);
  },

  'a released item goes to a get that waits': async (queue) => {
    await queue.put('a');
    const lease = await queue.lease(wait);
    const waiting = queue.get(wait);
    await turn();
    await lease.release();
    assert.equal(await waiting, 'a');
  },

  'lease waits, times out and checks its options like get': async (queue) => {
    await fails(() => queue.lease({ block: false }), 'ERR_QUEUE_EMPTY');
    await fails(() => queue.lease({ timeoutMs: 20 }), 'ERR_QUEUE_EMPTY');
    await failsWithRangeError(() => queue.lease({ timeoutMs: -1 }));
    const waiting = queue.lease(wait);
    await turn();
    await queue.put('came');
    await (await waiting).ack();
  },

  'a queue that is shut down is not drained while an item is on lease': async (queue) => {
    await queue.put('a');
    const lease = await queue.lease(wait);
    await queue.shutdown();
    const waiting = queue.get(wait);
    await turn();
    await lease.release();
    assert.equal(await waiting, 'a');
    await fails(() => queue.get(wait), 'ERR_QUEUE_SHUT_DOWN');
  },

  'the ack of the last lease ends those who wait on a queue that is shut down': async (queue) => {
    await queue.put('a');
    const lease = await queue.lease(wait);
    await queue.shutdown();
    const outcome = fails(() => queue.get(wait), 'ERR_QUEUE_SHUT_DOWN');
    await turn();
    await lease.ack();
    await outcome;
  },
};
