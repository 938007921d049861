/** Queues whose items leave the thread: what goes in comes out, or is refused. */
import assert from 'node:assert/strict';
import { QueueDescriptor } from '../descriptor/descriptor';
import type { Tests } from './harness';
import type { QueueLike } from '../queue/types';
import { fails, take } from './harness';

const values: Readonly<Record<string, unknown>> = {
  'null, false, 0 and the empty string': [null, false, 0, ''],
  'undefined in objects and arrays': { absent: undefined, list: [undefined, 1] },
  'numbers at the edges': [
    -0,
    -1,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
    1.5,
    5e-324,
    Infinity,
    -Infinity,
    NaN,
  ],
  'text with NUL bytes and emoji': ['a\0b', '👍🏽 日本語', 'x'.repeat(1000), 'é'.repeat(300)],
  'BigInts of any size': [0n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, -(2n ** 200n)],
  dates: [new Date(0), new Date(-1), new Date(1_700_000_000_123), new Date(8.64e15)],
  'Maps with keys of any type': new Map<unknown, unknown>([
    ['text', 1],
    [2, 'number'],
    [{ object: true }, new Map([[null, []]])],
  ]),
  Sets: new Set<unknown>([1, 'a', new Set([2])]),
  'typed arrays': [
    new Uint8Array([1, 2]),
    new Int16Array([-1, 2]),
    new Float64Array([1.5, -0]),
    new BigUint64Array([2n ** 64n - 1n]),
  ],
  'Buffers inside objects': { bytes: Buffer.from([0, 255, 1]) },
  'ArrayBuffers and DataViews': [new Uint8Array([1, 2, 3]).buffer, new DataView(new ArrayBuffer(2))],
  'keys in their order': Object.fromEntries(['z', 'a', 'm'].map((key) => [key, key])),
};

export const serializationTests: Tests<QueueLike> = {
  ...Object.fromEntries(
    Object.entries(values).map(([what, value]) => [
      `${what} arrive as sent`,
      async (queue: QueueLike) => {
        await queue.put(value);
        const [arrived] = await take(queue, 1);
        assert.deepStrictEqual(arrived, value);
        if (what === 'keys in their order')
          assert.deepEqual(Object.keys(arrived as object), Object.keys(value as object));
      },
    ]),
  ),

  'a Uint8Array arrives as a Buffer': async (queue) => {
    for (const length of [0, 1, 63, 64, 65, 4096]) {
      const bytes = Uint8Array.from({ length }, (_, i) => i & 0xff);
      await queue.put(bytes);
      const [arrived] = await take(queue, 1);
      assert.ok(Buffer.isBuffer(arrived), 'expected a Buffer');
      assert.deepEqual([...arrived], [...bytes]);
    }
  },

  'a key named __proto__ reaches no prototype': async (queue) => {
    await queue.put(JSON.parse('{"__proto__":{"polluted":true},"own":1}'));
    const [arrived] = (await take(queue, 1)) as [Record<string, unknown>];
    assert.equal(arrived.polluted, undefined);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.equal(arrived.own, 1);
  },

  'an item is a copy: what is changed after put does not reach the getter': async (queue) => {
    const item = { list: [1] };
    const bytes = Buffer.from('before');
    await queue.put(item);
    await queue.put(bytes);
    item.list.push(2);
    bytes.fill(0);
    assert.deepEqual(await take(queue, 2), [{ list: [1] }, Buffer.from('before')]);
  },

  'functions and symbols are refused at any depth, and the queue is unchanged': async (queue) => {
    const refused = [() => 1, Symbol('s'), { deep: [{ method() {} }] }, [Symbol('s')], new Map([['key', () => 1]])];
    for (const item of refused) await fails(() => queue.put(item), 'ERR_ITEM_SERIALIZATION');
    assert.equal(await queue.qsize(), 0);
    await queue.put('after');
    assert.deepEqual(await take(queue, 1), ['after']);
  },

  'a value that contains itself is refused, and the queue is unchanged': async (queue) => {
    const cycle: Record<string, unknown> = {};
    cycle.self = [cycle];
    await fails(() => queue.put(cycle), 'ERR_ITEM_SERIALIZATION');
    assert.equal(await queue.qsize(), 0);
  },

  'a descriptor is an item like any other and arrives as a QueueDescriptor': async (queue) => {
    const sent = QueueDescriptor.createShmQueue(undefined, 'replies', { maxsize: 7 });
    await queue.put({ request: 1, replyTo: sent });
    const [arrived] = (await take(queue, 1)) as [{ replyTo: unknown }];
    assert.ok(arrived.replyTo instanceof QueueDescriptor, 'expected a QueueDescriptor');
    assert.ok(arrived.replyTo.equals(sent));
    assert.equal(arrived.replyTo.createdTimestamp, sent.createdTimestamp);
  },
};
