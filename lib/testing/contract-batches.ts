/** Items on lease together, and the end of work. */
import assert from 'node:assert/strict';
import type { Tests } from './harness';
import type { Queue } from '../queue/types';
import { fails, failsWithRangeError, take, turn } from './harness';

const wait = { timeoutMs: 10_000 };

/** Undefined where the queue cannot know what others hold, and says so. */
const joining = async (queue: Queue): Promise<true | undefined> => {
  try {
    await queue.join(wait);
    return true;
  } catch (error) {
    assert.ok(error instanceof TypeError, `join() of a type that cannot know is a TypeError, found ${String(error)}`);
    return undefined;
  }
};

export const batchTests: Tests<Queue> = {
  'a batch of leases has what is there, up to max, and one ack for all': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    const batch = await queue.leaseMany(2, wait);
    assert.deepEqual([...batch.items], ['a', 'b']);
    assert.deepEqual(
      batch.leases.map(({ item, deliveries, crashes }) => [item, deliveries, crashes]),
      [
        ['a', 1, 0],
        ['b', 1, 0],
      ],
    );
    await batch.ack();
    await batch.release();
    const rest = await queue.leaseMany(10, wait);
    assert.deepEqual([...rest.items], ['c']);
    await rest.ack();
    await fails(() => queue.get({ block: false }), 'ERR_QUEUE_EMPTY');
  },

  'a released batch comes again in its order, ahead of every item not yet taken': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    const batch = await queue.leaseMany(2, wait);
    await batch.release();
    await batch.ack();
    const again = await queue.leaseMany(2, wait);
    assert.deepEqual(
      again.leases.map(({ item, deliveries }) => [item, deliveries]),
      [
        ['a', 2],
        ['b', 2],
      ],
    );
    await again.ack();
    assert.deepEqual(await take(queue, 1), ['c']);
  },

  'the leases of a batch end one by one; its own ends cover those still open': async (queue) => {
    await queue.putMany(['done', 'back', 'rest']);
    const batch = await queue.leaseMany(3, wait);
    const [done, back] = batch.leases;
    await done!.ack();
    await back!.release();
    assert.deepEqual(await take(queue, 1), ['back']);
    await batch[Symbol.asyncDispose]();
    await done!.release();
    assert.deepEqual(await take(queue, 1), ['rest']);
    assert.equal(await queue.empty(), true);
  },

  'leaseMany waits, times out and checks its arguments like getMany': async (queue) => {
    await fails(() => queue.leaseMany(3, { block: false }), 'ERR_QUEUE_EMPTY');
    await fails(() => queue.leaseMany(3, { timeoutMs: 20 }), 'ERR_QUEUE_EMPTY');
    await failsWithRangeError(() => queue.leaseMany(-1));
    assert.deepEqual([...(await queue.leaseMany(0)).items], []);
    const waiting = queue.leaseMany(3, wait);
    await turn();
    await queue.put('came');
    const batch = await waiting;
    assert.deepEqual([...batch.items], ['came']);
    await batch.ack();
  },

  'join resolves when the last item is finished, and not before': async (queue) => {
    if ((await joining(queue)) === undefined) return;
    await queue.putMany(['taken', 'leased']);
    await fails(() => queue.join({ timeoutMs: 20 }), 'ERR_QUEUE_TIMEOUT');
    let over = false;
    const done = queue.join(wait).then(() => (over = true));
    await take(queue, 1);
    const lease = await queue.lease(wait);
    await turn();
    assert.equal(over, false);
    await lease.release();
    await turn();
    assert.equal(over, false);
    await (await queue.lease(wait)).ack();
    await done;
  },

  'an abort ends a join': async (queue) => {
    if ((await joining(queue)) === undefined) return;
    await queue.put('there');
    const leaving = new AbortController();
    const outcome = queue.join({ signal: leaving.signal }).then(
      () => undefined,
      (error: unknown) => error,
    );
    leaving.abort('enough');
    assert.equal(await outcome, 'enough');
  },
};
