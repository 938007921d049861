/** Batches, iteration, streams and aborts: many items, and readers that leave early. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Tests } from './harness';
import type { Queue } from '../queue/types';
import { fails, failsWithRangeError, failure, take, turn } from './harness';

/** Brings one item, then nothing more, and does not even answer return(). */
class OneThenSilence implements AsyncIterable<string> {
  returned = 0;

  [Symbol.asyncIterator](): AsyncIterator<string> {
    let asked = 0;
    return {
      next: () => (asked++ === 0 ? Promise.resolve({ done: false, value: 'in' }) : new Promise(() => {})),
      return: () => {
        this.returned++;
        return new Promise(() => {});
      },
    };
  }
}

export const streamTests: Tests<Queue> = {
  'putMany takes arrays, generators and async generators': async (queue) => {
    assert.equal(await queue.putMany(['a', 'b']), 2);
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
    assert.equal(await queue.putMany(new Set(['c', 'd'])), 2);
    assert.deepEqual(await take(queue, 2), ['c', 'd']);
    const slowly = async function* (): AsyncGenerator<string> {
      yield 'e';
      await turn();
      yield 'f';
    };
    assert.equal(await queue.putMany(slowly()), 2);
    assert.deepEqual(await take(queue, 2), ['e', 'f']);
    assert.equal(await queue.putMany('gh'), 2);
    assert.deepEqual(await take(queue, 2), ['g', 'h']);
    assert.equal(await queue.putMany([]), 0);
  },

  'putMany whose source throws says how many went in': async (queue) => {
    const broken = function* (): Generator<string> {
      yield 'in';
      throw new Error('the source broke');
    };
    const error = (await failure(() => queue.putMany(broken()))) as Error & { accepted?: number };
    assert.equal(error.message, 'the source broke');
    assert.equal(error.accepted, 1);
    assert.deepEqual(await take(queue, 1), ['in']);
  },

  'putMany ends with a TypeError where the iterator of its source gives no object': async (queue) => {
    for (const given of [undefined, 5]) {
      for (const symbol of [Symbol.iterator, Symbol.asyncIterator]) {
        let asked = 0;
        const next = (): unknown => (asked++ === 0 ? { done: false, value: 'in' } : given);
        const error = (await failure(() => queue.putMany({ [symbol]: () => ({ next }) } as never))) as Error;
        assert.equal(error.name, 'TypeError', `expected a TypeError, found ${String(error)}`);
        assert.equal((error as { accepted?: number }).accepted, 1);
        assert.deepEqual(await take(queue, 1), ['in']);
      }
    }
  },

  'putMany ends at its timeout while its source is silent, and says how many went in': async (queue) => {
    for (const wait of [{ timeoutMs: 60 }, { block: false }]) {
      const source = new OneThenSilence();
      const error = await fails(() => queue.putMany(source, wait), 'ERR_QUEUE_TIMEOUT');
      assert.equal(error.accepted, 1);
      assert.equal(source.returned, 1);
      assert.deepEqual(await take(queue, 1), ['in']);
      assert.equal(await queue.empty(), true);
    }
  },

  'getMany takes what is there, up to max': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    assert.deepEqual(await queue.getMany(2), ['a', 'b']);
    assert.deepEqual(await queue.getMany(10), ['c']);
    assert.deepEqual(await queue.getMany(0), []);
    await fails(() => queue.getMany(10, { block: false }), 'ERR_QUEUE_EMPTY');
    for (const max of [-1, 1.5, NaN]) await failsWithRangeError(() => queue.getMany(max));
  },

  'getMany waits for one item': async (queue) => {
    const waiting = queue.getMany(10, { timeoutMs: 10_000 });
    await turn();
    await queue.put('came');
    assert.deepEqual(await waiting, ['came']);
  },

  'a signal that has fired already rejects with its reason, and takes nothing': async (queue) => {
    await queue.put('kept');
    const reason = new Error('before it began');
    const signal = AbortSignal.abort(reason);
    assert.equal(await failure(() => queue.get({ signal })), reason);
    assert.equal(await failure(() => queue.put('refused', { signal })), reason);
    assert.deepEqual(await queue.getMany(2), ['kept']);
  },

  'an aborted get rejects with the reason and loses no item': async (queue) => {
    const controller = new AbortController();
    const reason = { because: 'any value may be a reason' };
    const outcome = failure(() => queue.get({ signal: controller.signal }));
    const next = queue.get({ timeoutMs: 10_000 });
    await turn();
    controller.abort(reason);
    await queue.put('for the one that stayed');
    assert.equal(await outcome, reason);
    assert.equal(await next, 'for the one that stayed');
  },

  'async iteration gives items as they come, and a loop that leaves takes no more': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    const seen: unknown[] = [];
    for await (const item of queue) {
      seen.push(item);
      if (seen.length === 2) break;
    }
    assert.deepEqual(seen, ['a', 'b']);
    assert.deepEqual(await take(queue, 1), ['c']);
  },

  'an iterator that is left while it waits takes nothing': async (queue) => {
    const iterator = queue[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await turn();
    await iterator.return?.();
    assert.equal((await waiting).done, true);
    await queue.put('still there');
    assert.deepEqual(await take(queue, 1), ['still there']);
  },

  'async iteration ends when the queue is shut down and drained': async (queue) => {
    await queue.putMany(['a', 'b']);
    const seen: unknown[] = [];
    const loop = (async () => {
      for await (const item of queue) seen.push(item);
    })();
    await turn();
    await queue.shutdown();
    await loop;
    assert.deepEqual(seen, ['a', 'b']);
  },

  'a readable stream gives all items in order and ends at shutdown': async (queue) => {
    const items = ['a', 'b', 'c'];
    await queue.putMany(items);
    const seen: unknown[] = [];
    await queue.shutdown();
    await pipeline(queue.readable(), async (source) => {
      for await (const item of source) seen.push(item);
    });
    assert.deepEqual(seen, items);
  },

  'what a destroyed readable stream holds goes back to the queue': async (queue) => {
    await queue.putMany(['a', 'b', 'c']);
    const readable = queue.readable();
    const seen: unknown[] = [];
    for await (const item of readable) {
      seen.push(item);
      break;
    }
    if (!readable.closed) await new Promise((resolve) => readable.once('close', resolve));
    assert.deepEqual(seen, ['a']);
    assert.deepEqual(await take(queue, 2), ['b', 'c']);
    assert.equal(await queue.empty(), true);
  },

  'a readable stream that is not read from, then destroyed, takes nothing': async (queue) => {
    await queue.putMany(['a', 'b']);
    const readable = queue.readable();
    readable.on('readable', () => {});
    await turn();
    readable.destroy();
    if (!readable.closed) await new Promise((resolve) => readable.once('close', resolve));
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
  },

  'a writable stream puts what is written, and leaves the queue open': async (queue) => {
    await pipeline(Readable.from(['a', 'b']), queue.writable());
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
    await queue.put('still open');
    assert.deepEqual(await take(queue, 1), ['still open']);
  },

  'a writable stream with shutdown: true shuts the queue down once it has flushed': async (queue) => {
    await pipeline(Readable.from(['a', 'b']), queue.writable({ shutdown: true }));
    assert.deepEqual(await take(queue, 2), ['a', 'b']);
    await fails(() => queue.get({ timeoutMs: 10_000 }), 'ERR_QUEUE_SHUT_DOWN');
  },
};
