import { QueueDescriptor, registerCodec } from '../../lib';
import type { SageOptions } from '../../lib';
import { attachSage, describeQueue, errorOf, run, start } from './child';

const make = (options?: SageOptions): QueueDescriptor => describeQueue('sage_queue', options);

test('claim, fill and commit; abort and disposal leave the queue as it was', async () => {
  const queue = attachSage(make({ maxsize: 2 }));
  const claim = queue.claimSync(5);
  expect([claim.bytes.length, queue.qsizeSync(), await queue.empty()]).toEqual([5, 0, true]);
  claim.bytes.set(Buffer.from('hello'));
  claim.commit();
  expect(() => claim.commit()).toThrow(TypeError);
  claim.abort(); // after the end: nothing
  expect(() => claim.bytes).toThrow(TypeError);
  expect(String(queue.getSync())).toBe('hello');
  for (let count = 0; count < 50; count++) {
    const given = queue.claimSync(700);
    if (count % 2) given.abort();
    else given[Symbol.dispose]?.();
  }
  expect((await queue.stats()).usedBytes).toBe(0);
  queue.putManySync([1, 2]);
  expect(queue.getManySync(2)).toEqual([1, 2]);
  queue.closeSync();
});

test('one claim per handle at a time; sizes are checked; a full queue waits or refuses', async () => {
  const queue = attachSage(make({ maxsize: 1, capacityBytes: 1000 }));
  const claim = queue.claimSync(0);
  expect(() => queue.claimSync(1)).toThrow(TypeError);
  expect((await errorOf(() => queue.putSync(1, { block: false }))).code).toBe('ERR_QUEUE_FULL');
  claim.commit();
  expect((await errorOf(() => queue.claimSync(1, { block: false }))).code).toBe('ERR_QUEUE_FULL');
  expect((await errorOf(() => queue.claimSync(1, { timeoutMs: 20 }))).code).toBe('ERR_QUEUE_FULL');
  expect((await errorOf(() => queue.claimSync(1001))).code).toBe('ERR_ITEM_TOO_LARGE');
  for (const bytes of [-1, 1.5, NaN, Infinity, '1' as unknown as number]) {
    expect(() => queue.claimSync(bytes)).toThrow(RangeError);
  }
  expect((queue.getSync() as Buffer).length).toBe(0);
  queue.closeSync();
  expect((await errorOf(() => queue.claimSync(1))).code).toBe('ERR_QUEUE_CLOSED');
});

test('a claim in one process is read in place in another, in order with other puts', async () => {
  const descriptor = make();
  const queue = attachSage(descriptor);
  const claim = queue.claimSync(65536);
  const other = attachSage(descriptor);
  other.putSync(Buffer.from('behind'));
  expect((await errorOf(() => other.getSync({ block: false }))).code).toBe('ERR_QUEUE_EMPTY');
  claim.bytes.fill(9);
  claim.commit();
  const [seen] = await run(
    `const queue = open({ create: 'never' }); const seen = [];
    const handled = queue.consumeSync((view) => { seen.push([view.length, view[0], view[view.length - 1], Buffer.isBuffer(view)]); }, 5);
    say([handled, ...seen]); queue.closeSync();`,
    descriptor,
  );
  expect(seen).toEqual([2, [65536, 9, 9, true], [6, 98, 100, true]]);
  queue.closeSync();
  other.closeSync();
});

test('consumeSync: what a handler returns may not consume from the same handle either', () => {
  const queue = attachSage<Buffer>(make());
  queue.putManySync([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]);
  const seen: string[] = [];
  const handler = (view: Uint8Array): unknown => {
    seen.push(String(view));
    return Object.defineProperty({}, 'then', { get: () => queue.consumeSync(() => {}) });
  };
  expect(() => queue.consumeSync(handler)).toThrow(TypeError);
  expect(queue.qsizeSync()).toBe(3);
  expect(queue.consumeSync((view) => void seen.push(String(view)))).toBe(3);
  expect(seen).toEqual(['a', 'a', 'b', 'c']);
  queue.closeSync();
});

test('consumeSync: max, the throwing handler, the promise, waiting and shutdown', async () => {
  const queue = attachSage<Buffer>(make());
  const put = (...texts: string[]): void => void queue.putManySync(texts.map((text) => Buffer.from(text)));
  const seen: string[] = [];
  const see = (view: Uint8Array): void => void seen.push(Buffer.from(view).toString());
  put('a', 'b', 'c', 'd');
  expect(queue.consumeSync(see, 0)).toBe(0);
  expect(queue.consumeSync(see, 1)).toBe(1);
  expect(queue.consumeSync(see)).toBe(3);
  expect(seen.splice(0)).toEqual(['a', 'b', 'c', 'd']);
  // Done with, the last of each call included.
  expect(await queue.stats()).toMatchObject({ usedBytes: 0, getTotal: 4 });

  put('a', 'b', 'c', 'd');
  const reason = new Error('the second');
  const error = await errorOf(() =>
    queue.consumeSync((view) => {
      see(view);
      if (seen.length === 2) throw reason;
    }),
  );
  expect(error).toBe(reason);
  expect([seen.splice(0), queue.qsizeSync()]).toEqual([['a', 'b'], 3]);
  // What it refused comes first again, before what was put since.
  put('e');
  expect(queue.consumeSync(see)).toBe(4);
  expect(seen.splice(0)).toEqual(['b', 'c', 'd', 'e']);

  put('p');
  expect(() => queue.consumeSync((async () => {}) as unknown as (view: Uint8Array) => void)).toThrow(TypeError);
  expect(queue.qsizeSync()).toBe(1);
  expect(() => queue.consumeSync(1 as unknown as (view: Uint8Array) => void)).toThrow(TypeError);
  expect(String(queue.getSync())).toBe('p');

  expect((await errorOf(() => queue.consumeSync(see, 1, { timeoutMs: 20 }))).code).toBe('ERR_QUEUE_EMPTY');
  put('last');
  await queue.shutdown();
  expect(queue.consumeSync(see, 9)).toBe(1);
  expect((await errorOf(() => queue.consumeSync(see, 1))).code).toBe('ERR_QUEUE_SHUT_DOWN');
  queue.closeSync();
});

test('consumeSync reads on to its max after a shutdown, over several runs', async () => {
  const queue = attachSage<Buffer>(make());
  queue.putManySync(Array.from({ length: 150 }, (_, index) => Buffer.from([index])));
  await queue.shutdown();
  const seen: number[] = [];
  const see = (view: Uint8Array): void => void seen.push(view[0]!);
  expect(queue.consumeSync(see, 130)).toBe(130);
  expect(queue.consumeSync(see, 130)).toBe(20);
  expect(seen).toEqual(Array.from({ length: 150 }, (_, index) => index));
  expect(await queue.stats()).toMatchObject({ usedBytes: 0, qsize: 0 });
  queue.closeSync();
});

// 64 items are taken together: the last of them, the first behind them, and some in the middle and at the ends of the call.
test.each([1, 30, 64, 65, 100])(
  'a process that is killed while it handles item %i has done with those before it, and no other',
  async (killed) => {
    const descriptor = make();
    const keeper = attachSage<Buffer>(descriptor);
    keeper.putManySync(Array.from({ length: 100 }, (_, index) => Buffer.from([index + 1])));
    const child = start(
      `const queue = open(); queue.consumeSync((view) => { if (view[0] === given[0]) { say(1); hear(); } }, 100);`,
      descriptor,
      [killed],
    );
    await child.next();
    await child.kill();
    const left: number[] = [];
    for (let item = killed; item <= 100; item++) left.push(keeper.getSync({ timeoutMs: 10_000 })[0]!);
    expect(left).toEqual(Array.from({ length: 101 - killed }, (_, index) => killed + index));
    expect(await keeper.stats()).toMatchObject({ usedBytes: 0, qsize: 0 });
    keeper.closeSync();
  },
);

test.each([1, 64, 65, 100])(
  'a handler that throws at item %i has done with those before it, and no other',
  async (thrown) => {
    const queue = attachSage<Buffer>(make());
    queue.putManySync(Array.from({ length: 100 }, (_, index) => Buffer.from([index + 1])));
    const reason = new Error('no');
    const error = await errorOf(() =>
      queue.consumeSync((view) => {
        if (view[0] === thrown) throw reason;
      }, 100),
    );
    expect(error).toBe(reason);
    expect(queue.getManySync(200).map((item) => item[0])).toEqual(
      Array.from({ length: 101 - thrown }, (_, index) => thrown + index),
    );
    expect((await queue.stats()).usedBytes).toBe(0);
    queue.closeSync();
  },
);

test.each([1, 64, 65, 100])(
  'a handler that closes at item %i has done with those before it, and no other',
  async (last) => {
    const descriptor = make();
    const keeper = attachSage<Buffer>(descriptor);
    const queue = attachSage<Buffer>(descriptor);
    keeper.putManySync(Array.from({ length: 100 }, (_, index) => Buffer.from([index + 1])));
    const handled = queue.consumeSync((view) => {
      if (view[0] === last) queue.closeSync();
    }, 100);
    expect(handled).toBe(last - 1);
    expect(keeper.getManySync(200).map((item) => item[0])).toEqual(
      Array.from({ length: 101 - last }, (_, index) => last + index),
    );
    expect((await keeper.stats()).usedBytes).toBe(0);
    keeper.closeSync();
  },
);

test('the handler may use the queue: put, get, claim and close', async () => {
  const descriptor = make();
  const queue = attachSage<Buffer>(descriptor);
  queue.putManySync(['a', 'b', 'c', 'd'].map((text) => Buffer.from(text)));
  const seen: string[] = [];
  queue.consumeSync((view) => {
    if (seen.length === 0) {
      queue.putSync(Buffer.from('more'));
      const claim = queue.claimSync(3);
      claim.bytes.set(Buffer.from('yet'));
      claim.commit();
      queue.leaseSync().ackSync();
    }
    seen.push(String(Buffer.from(view)));
  }, 3);
  expect(() => queue.consumeSync(() => void queue.consumeSync(() => {}))).toThrow(TypeError);
  const keeper = attachSage<Buffer>(descriptor);
  queue.consumeSync(() => queue.closeSync());
  // Neither lost nor stuck: what was not handled when the handle closed went back.
  const rest = keeper.getManySync(9).map(String);
  expect([...seen, ...rest].sort()).toEqual([...new Set([...seen, ...rest])].sort());
  expect(await keeper.stats()).toMatchObject({ usedBytes: 0, qsize: 0 });
  keeper.closeSync();
});

test('a view that outlives its queue is empty, also when the queue was forgotten', async () => {
  const program = `
    (async () => {
      const queue = open();
      const claim = queue.claimSync(100);
      const bytes = claim.bytes;
      queue.putSync(Buffer.from('x'));
      claim.commit();
      let kept;
      queue.consumeSync((view) => { kept ??= view; }, 2);
      say([bytes.length, kept.length]);
      queue.closeSync();
      say([bytes.length, kept.length, bytes[0] === undefined]);
      // Forgotten instead of closed: the view is still memory, never a hole.
      const view = (() => open().claimSync(4096).bytes)();
      for (let count = 0; count < 50; count++) { gc(); await new Promise((resolve) => setTimeout(resolve, 2)); }
      if (view.length > 0) view.fill(1);
      say('lives');
      await sq.closeAllQueues();
    })();`;
  const lines = await run(program, make(), [], { flags: ['--expose-gc'] });
  expect(lines).toEqual([[100, 100], [0, 0, true], 'lives']);
});

test('a process that ends with a claim open leaves no hole behind', async () => {
  const descriptor = make();
  const keeper = attachSage<Buffer>(descriptor);
  for (const end of ['process.exit(0)', 'queue.closeSync()', '(0)']) {
    const child = start(
      `const queue = open(); const claim = queue.claimSync(10); queue.putSync(Buffer.from('behind')); ${end};`,
      descriptor,
    );
    await child.clean();
    expect(String(keeper.getSync({ timeoutMs: 2000 }))).toBe('behind');
  }
  expect((await keeper.stats()).usedBytes).toBe(0);
  keeper.closeSync();
});

test('a claim that ends after the queue was shut down at once says that it was dropped', async () => {
  const queue = attachSage(make());
  const claim = queue.claimSync(5);
  await queue.shutdown({ immediate: true });
  const error = await errorOf(() => claim.commit());
  expect(error.code).toBe('ERR_QUEUE_SHUT_DOWN');
  expect((await queue.stats()).usedBytes).toBe(0);
  queue.closeSync();
});

describe('what is served after a wait', () => {
  const numbered = (item: Uint8Array): [number, number] => [item.length, item[0]!];

  test('does not change which items consumeSync reads', async () => {
    const descriptor = make();
    const queue = attachSage<Buffer>(descriptor);
    const waiting = queue.getMany(3);
    const child = start(
      `const queue = open(); queue.putManySync(Array.from({ length: 6 }, (_, index) => Buffer.alloc(1000, index + 1))); queue.closeSync();`,
      descriptor,
    );
    const seen: [number, number][] = [];
    expect(queue.consumeSync((view) => void seen.push(numbered(view)), 2, { timeoutMs: 20_000 })).toBe(2);
    const others = [...(await waiting), ...queue.getManySync(9)].map(numbered);
    expect(seen).toHaveLength(2);
    expect([...seen, ...others].sort()).toEqual([1, 2, 3, 4, 5, 6].map((number) => [1000, number]));
    await child.clean();
    queue.closeSync();
  });

  test('does not change which claim is filled and committed', async () => {
    const descriptor = make({ maxsize: 3 });
    const queue = attachSage<Buffer>(descriptor);
    const waiting = queue.getMany(2);
    queue.putManySync([1, 2, 3].map((number) => Buffer.alloc(100, number)));
    const child = start(`const queue = open(); queue.getSync(); queue.closeSync();`, descriptor);
    const claim = queue.claimSync(100, { timeoutMs: 20_000 });
    claim.bytes.fill(4);
    claim.commit();
    expect((await waiting).map(numbered)).toEqual([2, 3].map((number) => [100, number]));
    expect(numbered(queue.getSync())).toEqual([100, 4]);
    await child.clean();
    expect(await queue.stats()).toMatchObject({ usedBytes: 0, qsize: 0 });
    queue.closeSync();
  });

  test('cannot, where its codec claims or consumes by the same handle', async () => {
    const text = (bytes: Uint8Array): string => String(Buffer.from(bytes));
    let nested: (() => unknown) | undefined;
    const refused: unknown[] = [];
    const encode = (value: unknown): Buffer => Buffer.from(value as string);
    const decode = (bytes: Uint8Array): string => {
      try {
        nested?.();
      } catch (error) {
        refused.push(error);
      }
      return text(bytes);
    };
    registerCodec({ name: 'curious', id: 78, encode, decode });
    const descriptor = make({ maxsize: 3, codec: 'curious' });
    const queue = attachSage<unknown>(descriptor);
    const program = `sq.registerCodec({ name: 'curious', id: 78, encode: Buffer.from, decode: String }); const queue = open();`;

    nested = () => queue.consumeSync(() => {}, 1, { block: false });
    let waiting = queue.get();
    const putter = start(`${program} queue.putManySync(['a', 'b', 'c']); queue.closeSync();`, descriptor);
    const seen: string[] = [];
    expect(queue.consumeSync((view) => void seen.push(text(view)), 1, { timeoutMs: 20_000 })).toBe(1);
    expect([...seen, await waiting]).toEqual(['a', 'b']);
    expect(refused.splice(0)).toEqual([expect.any(TypeError)]);
    await putter.clean();

    nested = undefined;
    expect(queue.getSync()).toBe('c');
    waiting = queue.get();
    queue.putManySync(['d', 'e', 'f']);
    // Another handle of this thread may: where its room lies is not where the first claim's does.
    const other = attachSage<unknown>(descriptor);
    nested = () => {
      other.claimSync(1, { block: false }).abort();
      queue.claimSync(1, { block: false });
    };
    const getter = start(`${program} queue.getSync(); queue.closeSync();`, descriptor);
    const claim = queue.claimSync(1, { timeoutMs: 20_000 });
    nested = undefined;
    claim.bytes.set(Buffer.from('g'));
    claim.commit();
    expect(await waiting).toBe('e');
    expect(refused).toEqual([expect.any(TypeError)]);
    expect([queue.getSync(), text(queue.getSync() as Buffer)]).toEqual(['f', 'g']);
    await getter.clean();

    // What was claimed or taken by a handle that is closed then has gone back.
    const closing = [
      (one: typeof queue) => one.consumeSync((view) => void seen.push(text(view)), 1, { timeoutMs: 20_000 }),
      (one: typeof queue) => one.claimSync(1, { timeoutMs: 20_000 }),
    ];
    for (const [index, call] of closing.entries()) {
      const closed = attachSage<unknown>(descriptor);
      const last = errorOf(() => closed.get());
      if (index === 1) other.putManySync(['h', 'i', 'j']);
      nested = () => closed.closeSync();
      const act = index === 0 ? `putManySync(['h', 'i'])` : 'getSync()';
      const child = start(`${program} queue.${act}; queue.closeSync();`, descriptor);
      expect((await errorOf(() => call(closed))).code).toBe('ERR_QUEUE_CLOSED');
      nested = undefined;
      await last.catch(() => {});
      await child.clean();
      expect(seen).toEqual(['a']);
      expect(other.getManySync(3)[0]).toBe(index === 0 ? 'h' : 'j');
      expect(await other.stats()).toMatchObject({ usedBytes: 0, qsize: 0 });
    }
    other.closeSync();
    queue.closeSync();
  });
});
