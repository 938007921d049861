/**
 * What runs while an item is encoded or decoded is the program's own (a codec, a getter), and may use the very handle: take, put, lease,
 * close it, shut the queue down. Each item still comes out once, and each call ends with what is true.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { SerializationError } from '../../lib';
import type { NativeQueue, SageOptions } from '../../lib';
import { attach, describeQueue, drain, errorOf, types } from './child';
import { registerHookedCodec } from './hooked-codec';

/** What happens at the next encoding or decoding, once. */
let hook: (() => void) | undefined;
const runHook = (): void => {
  const now = hook;
  hook = undefined;
  now?.();
};

registerHookedCodec('hooked', 77, runHook);

/** Read as a table of items: of one byte, raw. */
const LIKE_A_TABLE = Buffer.from(new Uint32Array(64).fill(1).buffer);
const LARGE = 'x'.repeat(100_000);
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index);
const codeOf = async (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (value) => value ?? 'done',
    (error: { code?: string }) => error.code ?? error,
  );
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(types)('%s', (type) => {
  let queue: NativeQueue;
  let other: NativeQueue;
  /** Another queue, which takes bytes as they are. */
  let elsewhere: NativeQueue;
  const make = (options: SageOptions = {}): void => {
    const descriptor = describeQueue(type, { codec: 'hooked', capacityBytes: 1 << 20, ...options });
    queue = attach(descriptor);
    other = attach(descriptor);
  };
  beforeEach(() => {
    elsewhere = attach(describeQueue(type));
  });
  afterEach(() => {
    hook = undefined;
    elsewhere.unlinkSync();
    elsewhere.closeSync();
    other.unlinkSync();
    other.closeSync();
    queue.closeSync();
  });

  test.each<[string, (taken: unknown[]) => void]>([
    ['getMany', (taken) => taken.push(...queue.getManySync(70))],
    ['get', (taken) => taken.push(queue.getSync(), queue.getSync())],
    ['getMany of another handle', (taken) => taken.push(...other.getManySync(3))],
    ['lease', (taken) => range(3).forEach(() => { const lease = queue.leaseSync(); taken.push(lease.item); lease.ackSync(); })], // prettier-ignore
    ['release', () => queue.leaseSync().releaseSync()],
    ['put', () => queue.putSync('behind')],
    ['put of bytes elsewhere', () => elsewhere.putSync(LIKE_A_TABLE)],
  ])('%s while a batch is decoded', async (_name, inside) => {
    for (const take of [
      async () => queue.getMany(100),
      async () => queue.getManySync(100),
      async () => (await queue.leaseMany(100)).items,
      async () => range(100).map(() => queue.getSync()),
    ]) {
      make();
      queue.putManySync(range(200));
      const taken: unknown[] = [];
      hook = () => inside(taken);
      const items = await take();
      const rest = drain(other);
      const numbers = [...taken, ...items, ...rest].filter((item) => item !== 'behind');
      expect([...numbers].sort((a, b) => Number(a) - Number(b))).toEqual(range(200));
      expect(items).toEqual([...items].sort((a, b) => Number(a) - Number(b)));
      other.unlinkSync();
      queue.closeSync();
      other.closeSync();
    }
    make();
  });

  test('a large item is taken while another one is decoded', async () => {
    make();
    queue.putManySync([`1${LARGE}`, `2${LARGE}`, `3${LARGE}`, `4${LARGE}`]);
    const taken: unknown[] = [];
    hook = () => taken.push(queue.getSync());
    taken.push(queue.getSync());
    hook = () => taken.push(...queue.getManySync(1));
    taken.push(...(await queue.getMany(1)));
    expect(taken.map((item) => String(item).slice(0, 2)).sort()).toEqual(['1x', '2x', '3x', '4x']);
    expect(queue.emptySync()).toBe(true);
    // Nothing is left in anybody's hand.
    await other.join({ timeoutMs: 5000 });
  });

  test.each([
    ['small', [1, 2, 3]],
    ['large', [`1${LARGE}`, `2${LARGE}`, `3${LARGE}`]],
  ])('a handle closed while its item is decoded: what went back is not returned, %s items', async (_size, all) => {
    for (const waits of [false, true]) {
      for (const take of [
        (): Promise<unknown> => queue.get(),
        async () => (await queue[Symbol.asyncIterator]().next()).value as unknown,
        () => queue.getMany(3),
        () => queue.lease().then(({ item }) => item),
        () => queue.leaseMany(3).then(({ items }) => items),
        async () => queue.getManySync(3, { block: false }),
      ]) {
        make();
        const calls = waits ? [codeOf(take())] : [];
        if (waits) await turn();
        hook = () => queue.closeSync();
        other.putManySync(all);
        if (!waits) calls.push(codeOf(take()));
        const [outcome] = await Promise.all(calls);
        const rest = drain(other);
        const taken = outcome === 'ERR_QUEUE_CLOSED' || outcome === 'ERR_QUEUE_EMPTY' ? [] : [outcome].flat();
        expect([...taken, ...rest]).toEqual(all);
        expect((await other.stats()).leased).toBe(0);
        queue.closeSync();
        other.unlinkSync();
        other.closeSync();
      }
    }
    make();
  });

  test('a decoding that closes the handle and fails, and one that shuts the queue down', async () => {
    make();
    queue.putManySync([1, 2]);
    const failing = (): never => {
      queue.closeSync();
      throw new Error('and fails');
    };
    hook = failing;
    expect(await codeOf(queue.leaseMany(2))).toBe('ERR_QUEUE_CLOSED');
    queue = attach(other.descriptor);
    hook = failing;
    expect(await codeOf(queue.lease())).toBe('ERR_QUEUE_CLOSED');
    queue = attach(other.descriptor);
    hook = failing;
    expect(await codeOf(queue.getMany(2))).toBe('ERR_QUEUE_CLOSED');
    queue = attach(other.descriptor);
    // A get has removed it by then.
    hook = failing;
    expect(await errorOf(() => queue.get())).toBeInstanceOf(SerializationError);
    queue = attach(other.descriptor);
    hook = () => void queue.shutdown();
    expect(await queue.getMany(3)).toEqual([2]);
    expect(await codeOf(queue.get())).toBe('ERR_QUEUE_SHUT_DOWN');
  });

  const puts: [string, (item: unknown) => Promise<unknown>][] = [
    ['put', (item) => queue.put(item)],
    ['putSync', async (item) => queue.putSync(item)],
    ['putMany of an array', (item) => queue.putMany([item, 'second'])],
    ['putMany of an iterable', (item) => queue.putMany(new Set([item, 'second']))],
    ['putManySync', async (item) => queue.putManySync([item, 'second'])],
  ];

  test.each(puts)('%s whose encoding puts, and takes', async (name, put) => {
    for (const inside of [
      () => queue.putSync('inner'),
      () => queue.putManySync(['inner']),
      () => void queue.put('inner'),
      () => void queue.putMany(['inner']),
    ]) {
      make();
      hook = inside;
      await put('outer');
      expect(drain(other).sort()).toEqual(['inner', 'outer', ...(name.includes('Many') ? ['second'] : [])]);
      queue.closeSync();
      other.closeSync();
    }
    // Full, and the encoding makes the room that it needs.
    make({ maxsize: 2 });
    queue.putManySync([1, 2]);
    const taken: unknown[] = [];
    hook = () => taken.push(...queue.getManySync(2));
    await put('outer');
    expect([taken, drain(other)[0]]).toEqual([[1, 2], 'outer']);
  });

  test('a getter that puts while its item is encoded', async () => {
    make({ codec: 'auto' });
    const item = (inside: () => void): object => ({
      before: 'b'.repeat(300),
      get now() {
        inside();
        return 'n'.repeat(300);
      },
      after: 'a'.repeat(300),
    });
    const plain = { before: 'b'.repeat(300), now: 'n'.repeat(300), after: 'a'.repeat(300) };
    await queue.put(item(() => queue.putSync({ inner: 'i'.repeat(2000) })));
    await queue.putMany([item(() => queue.putManySync([{ inner: 'i'.repeat(2000) }])), 1]);
    expect(drain(other)).toEqual([{ inner: 'i'.repeat(2000) }, plain, { inner: 'i'.repeat(2000) }, plain, 1]);
  });

  test.each(puts)('%s whose encoding ends the call: nothing went in, and it does not hang', async (name, put) => {
    for (const full of [false, true]) {
      for (const waitsBehind of [false, true]) {
        make({ maxsize: 1 });
        if (full) other.putSync('there');
        const before = waitsBehind && full ? codeOf(other.put('before')) : undefined;
        hook = () => queue.closeSync();
        // Where another one waits first, a putMany encodes when its turn comes, and a blocking call would wait for ever.
        const call = name.endsWith('Sync') && full ? undefined : codeOf(put('outer'));
        await turn();
        if (before !== undefined) expect(await Promise.all([other.get(), before])).toEqual(['there', 'done']);
        else if (full) expect(other.getSync()).toBe('there');
        if (before !== undefined) expect(other.getSync()).toBe('before');
        if (call !== undefined) expect(await call).toBe('ERR_QUEUE_CLOSED');
        expect(drain(other)).toEqual([]);
        hook = undefined;
        queue.closeSync();
        other.unlinkSync();
        other.closeSync();
      }
    }
    make();
    hook = () => void queue.shutdown();
    expect(await codeOf(put('outer'))).toBe('ERR_QUEUE_SHUT_DOWN');
    expect(drain(other)).toEqual([]);
  });

  test('an encoding that fires the signal of its own call', async () => {
    for (const full of [false, true]) {
      for (const put of [
        (signal: AbortSignal): Promise<unknown> => queue.put('outer', { signal }),
        (signal: AbortSignal) => queue.putMany(['outer'], { signal }),
        (signal: AbortSignal) => queue.putMany(new Set(['outer']), { signal }),
      ]) {
        make({ maxsize: 1 });
        if (full) other.putSync('there');
        const controller = new AbortController();
        const left: Error & { accepted?: number } = new Error('left');
        hook = () => controller.abort(left);
        const outcome = await put(controller.signal).then(
          () => 'in',
          (reason: unknown) => reason,
        );
        // It may have been too late for the call, or for a putMany all whose items were in.
        const isIn = outcome === 'in' || left.accepted === 1;
        if (outcome !== 'in') expect(outcome).toBe(left);
        expect(drain(other)).toEqual(full ? ['there'] : isIn ? ['outer'] : []);
        if (full) expect(isIn).toBe(false);
        queue.closeSync();
        other.closeSync();
      }
    }
    make();
  });
});

test.each(types)(
  '%s: a blocking call whose end the program hears of, and closes the handle, ends as it was told',
  async (type) => {
    const queue = attach(describeQueue(type));
    const close = (): void => queue.closeSync();
    const watch = (): void => {};
    subscribe('sage-queue:recovered', watch);
    const watched = attach(queue.descriptor);
    watched.closeSync();
    subscribe('sage-queue:wait', close);
    const error = await errorOf(() => queue.getSync({ timeoutMs: 1 }));
    unsubscribe('sage-queue:wait', close);
    unsubscribe('sage-queue:recovered', watch);
    expect(error.code).toBe('ERR_QUEUE_EMPTY');
  },
);
