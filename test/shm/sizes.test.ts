import { attach, describeQueue, errorOf, now, start, types } from './child';

const MEBIBYTE = 2 ** 20;
const sizes = [
  0,
  1,
  15,
  16,
  17,
  63,
  64,
  65,
  255,
  256,
  257,
  4095,
  4096,
  4097,
  65535,
  65536,
  65537,
  MEBIBYTE,
  16 * MEBIBYTE,
];

/** Bytes that depend on their place and on `seed`, so that a shifted or torn item differs. */
const fill = `
const fill = (bytes, seed) => {
  const buffer = Buffer.alloc(bytes);
  let state = seed * 2654435761 >>> 0;
  for (let at = 0; at < bytes; at++) buffer[at] = (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  return buffer;
};
const digest = (bytes) => require('node:crypto').createHash('sha1').update(bytes).digest('hex');
`;

describe.each(types)('%s', (type) => {
  test('items of every size arrive intact in another process, by every way in and out', async () => {
    const descriptor = describeQueue(type, { capacityBytes: 16 * MEBIBYTE });
    const queue = attach(descriptor);
    const ways = ['sync', 'many', 'async', 'lease', ...(type === 'sage_queue' ? ['inPlace'] : [])];
    const producer = start(
      `${fill}
      (async () => {
        const [sizes, ways] = given;
        const queue = open();
        let seed = 0;
        for (const size of sizes) for (const way of ways) {
          const bytes = fill(size, seed++);
          if (way === 'sync') queue.putSync(bytes);
          else if (way === 'many') queue.putManySync([bytes]);
          else if (way === 'inPlace') {
            const claim = queue.claimSync(size);
            claim.bytes.set(bytes);
            claim.commit();
          } else await queue.put(bytes);
        }
        queue.closeSync();
      })();`,
      descriptor,
      [sizes, ways],
    );
    const consumer = start(
      `${fill}
      (async () => {
        const [sizes, ways] = given;
        const queue = open();
        let seed = 0;
        const wrong = [];
        for (const size of sizes) for (const way of ways) {
          let bytes;
          if (way === 'sync') bytes = queue.getSync();
          else if (way === 'many') [bytes] = queue.getManySync(1);
          else if (way === 'async') bytes = await queue.get();
          else if (way === 'inPlace') queue.consumeSync((view) => { bytes = Buffer.from(view); }, 1);
          else {
            const lease = queue.leaseSync();
            bytes = lease.item;
            lease.ackSync();
          }
          if (!Buffer.isBuffer(bytes) || bytes.length !== size || digest(bytes) !== digest(fill(size, seed++))) wrong.push([size, way]);
        }
        say(wrong);
        queue.closeSync();
      })();`,
      descriptor,
      [sizes, ways],
    );
    expect(await consumer.clean()).toEqual([[]]);
    await producer.clean();
    queue.closeSync();
  });

  test('an item that can never fit is refused at once, and the queue goes on', async () => {
    const queue = attach<Uint8Array>(describeQueue(type, { capacityBytes: 65536 }));
    const large = new Uint8Array(65537);
    const before = now();
    const calls = [
      () => queue.put(large),
      () => queue.putSync(large),
      () => queue.putMany([large]),
      () => queue.putManySync([large]),
    ];
    for (const call of calls) expect((await errorOf(call)).code).toBe('ERR_ITEM_TOO_LARGE');
    // None of the calls has a timeout: had one waited, it would wait for ever.
    expect(now() - before).toBeLessThan(5000);
    const mixed = await errorOf(() => queue.putMany([new Uint8Array(1), new Uint8Array(2), large, new Uint8Array(3)]));
    expect([mixed.code, mixed.accepted]).toEqual(['ERR_ITEM_TOO_LARGE', 2]);
    expect(queue.getManySync(9).map((item) => item.length)).toEqual([1, 2]);
    const whole = new Uint8Array(65536).fill(7);
    queue.putSync(whole);
    expect((await errorOf(() => queue.putSync(new Uint8Array(1), { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect(Buffer.compare(queue.getSync() as Buffer, whole)).toBe(0);
    queue.closeSync();
  });

  test('odd sizes wrap more than 100 times around, checksummed', async () => {
    const capacityBytes = 10_007;
    const descriptor = describeQueue(type, { capacityBytes, maxsize: 37 });
    const keeper = attach(descriptor);
    const producer = start(
      `${fill}
      const queue = open();
      const sum = require('node:crypto').createHash('sha1');
      let total = 0;
      for (let index = 0; total < given[0] * 150; index++) {
        const bytes = fill((index * 2657) % 4999, index);
        sum.update(bytes);
        total += bytes.length;
        if (index % 3 === 0) queue.putManySync([bytes]); else queue.putSync(bytes);
      }
      queue.shutdown().then(() => { queue.closeSync(); say([sum.digest('hex'), total]); });`,
      descriptor,
      [capacityBytes],
    );
    const consumer = start(
      `const queue = open();
      const sum = require('node:crypto').createHash('sha1');
      let total = 0;
      (async () => {
        try {
          for (let index = 0; ; index++) {
            const items = index % 2 ? [await queue.get()] : queue.getManySync(5);
            for (const bytes of items) { sum.update(bytes); total += bytes.length; }
          }
        } catch (error) { say([sum.digest('hex'), total, error.code]); }
        queue.closeSync();
      })();`,
      descriptor,
    );
    const [[sum, total]] = await producer.clean();
    const [outcome] = await consumer.clean();
    expect(outcome).toEqual([sum, total, 'ERR_QUEUE_SHUT_DOWN']);
    expect(total).toBeGreaterThan(100 * capacityBytes);
    keeper.closeSync();
  });

  test('payloads that imitate headers, slots and tags change nothing', async () => {
    const descriptor = describeQueue(type, { capacityBytes: 8192, maxsize: 16 });
    const keeper = attach(descriptor);
    const hashes = 400;
    const imitation = `
      // Slot words (number << 24 | state << 21 | ...), cursors, the magic number, in every alignment and for numbers near the real ones.
      const imitate = (index) => {
        const words = new BigUint64Array(3 + index % 40);
        for (let at = 0; at < words.length; at++) {
          const number = BigInt(32 + index + at - 8 < 0 ? 0 : 32 + index + at - 8);
          words[at] = at % 4 === 0 ? (number << 24n) | (BigInt(index % 6) << 21n) : at % 4 === 1 ? (number << 16n) | 0x102n
            : at % 4 === 2 ? 0x514547415301_0a0dn : (2n << 61n) | number;
        }
        return Buffer.from(words.buffer).subarray(index % 8);
      };`;
    const producer = start(
      `${imitation} const queue = open(); for (let index = 0; index < given[0]; index++) queue.putSync(imitate(index)); queue.closeSync();`,
      descriptor,
      [hashes],
    );
    const consumer = start(
      `${imitation} const queue = open();
      let wrong = 0;
      for (let index = 0; index < given[0]; index++) if (!queue.getSync().equals(imitate(index))) wrong++;
      say([wrong, queue.qsizeSync()]); queue.closeSync();`,
      descriptor,
      [hashes],
    );
    expect(await consumer.clean()).toEqual([[0, 0]]);
    await producer.clean();
    keeper.closeSync();
  });
});
