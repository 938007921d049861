/**
 * Several queues in one thread: the addon's functions are the same for all of them, and a word says whose call it is. So each call goes to its own
 * queue, whatever came in between.
 */
import type { NativeQueue, SageQueue } from '../../lib';
import { REGISTER_ENTRY, entryCalls, registers } from '../../lib/transports/shm/addon';
import { NativeEntry } from '../../lib/transports/shm/native-entry';
import type { EntryCalls } from '../../lib/transports/shm/native-entry';
import { attach, describeQueue, run, types } from './child';
import { GC, HANDLES } from './handles';
import { registerHookedCodec } from './hooked-codec';

/** What the program does while an item is encoded or decoded: in the middle of a call on one queue, with another one. */
let hook: (() => void) | undefined;
let isUnderWay = false;
const runHook = (): void => {
  if (isUnderWay || hook === undefined) return;
  isUnderWay = true;
  try {
    hook();
  } finally {
    isUnderWay = false;
  }
};
registerHookedCodec('meanwhile', 78, runHook);

const codeOf = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index);
const nativeOf = (queue: NativeQueue): NativeEntry => (queue as unknown as { native: NativeEntry }).native;
const functionsOf = (queue: NativeQueue): EntryCalls =>
  (nativeOf(queue) as unknown as { functions: EntryCalls }).functions;

let queues: NativeQueue[];
beforeEach(() => (queues = []));
afterEach(() => {
  hook = undefined;
  for (const queue of queues) {
    queue.unlinkSync();
    queue.closeSync();
  }
});
const open = <T extends NativeQueue>(type: 'shm' | 'sage_queue', options = {}): T => {
  const queue = attach(describeQueue(type, options));
  queues.push(queue);
  return queue as T;
};

test('the functions of the addon are those that an entry has by the same names', () => {
  open('shm');
  const methods = Object.getOwnPropertyNames(NativeEntry.prototype);
  const functions = Object.keys(Object.getPrototypeOf(entryCalls) as object);
  expect(functions.length).toBeGreaterThan(40);
  expect(functions.sort()).toEqual(methods.filter((name) => name !== 'constructor' && name !== 'calls').sort());
});

test('all queues of a thread have the same functions, so that V8 finds one at each call', () => {
  const [a, b] = [open('shm'), open('sage_queue')];
  expect(nativeOf(a)).not.toBe(nativeOf(b));
  expect(functionsOf(a)).toBe(functionsOf(b));
});

describe.each(types)('%s', (type) => {
  /** Everything that a program can do with the other queue between two steps of a call on this one. */
  const meddle = (other: NativeQueue): void => {
    other.putSync(Buffer.from('bytes'));
    other.putSync('text');
    other.putManySync([Buffer.alloc(3), 'more']);
    other.qsizeSync();
    const lease = other.leaseSync();
    lease.ackSync();
    other.getManySync(2);
    other.peekSync();
    other.getSync();
  };

  const WAYS: [string, (queue: NativeQueue) => Promise<unknown[]>][] = [
    ['getSync', async (queue) => range(100).map(() => queue.getSync())],
    ['get', async (queue) => Promise.all(range(100).map(() => queue.get()))],
    ['getManySync', async (queue) => queue.getManySync(100)],
    ['getMany', async (queue) => queue.getMany(100)],
    ['peekSync', async (queue) => range(100).map(() => [queue.peekSync()!.item, queue.getSync()][1])],
    ['for await', async (queue) => { const items: unknown[] = []; for await (const item of queue) if (items.push(item) === 100) break; return items; }], // prettier-ignore
    ['lease', async (queue) => { const items: unknown[] = []; for (let n = 0; n < 100; n++) { const lease = await queue.lease(); items.push(lease.item); await lease.ack(); } return items; }], // prettier-ignore
    [
      'leaseMany',
      async (queue) => {
        const batch = await queue.leaseMany(100);
        await batch.ack();
        return [...batch.items];
      },
    ],
  ];
  const PUTS: [string, (queue: NativeQueue) => Promise<unknown>][] = [
    ['putSync', async (queue) => range(100).forEach((item) => queue.putSync(item))],
    ['put', async (queue) => Promise.all(range(100).map((item) => queue.put(item)))],
    ['putManySync', async (queue) => queue.putManySync(range(100))],
    ['putMany', async (queue) => queue.putMany(range(100))],
    ['putMany of a source', async (queue) => queue.putMany(new Set(range(100)))],
  ];

  test.each(PUTS.flatMap(([put, puts]) => WAYS.map(([get, gets]) => [put, get, puts, gets] as const)))(
    'another queue is used while the items of %s and %s are encoded and decoded',
    async (_put, _get, puts, gets) => {
      const queue = open(type, { codec: 'meanwhile' });
      const other = open(type, { maxsize: 4 });
      let times = 0;
      hook = () => {
        times++;
        meddle(other);
        expect(other.qsizeSync()).toBe(0);
      };
      await puts(queue);
      expect(times).toBe(100);
      expect(queue.qsizeSync()).toBe(100);
      expect(await gets(queue)).toEqual(range(100));
      expect(times).toBeGreaterThanOrEqual(200);
      expect([queue.qsizeSync(), other.qsizeSync(), (await queue.stats()).leased]).toEqual([0, 0, 0]);
    },
  );

  test('large items: another queue is used while they are encoded and decoded', async () => {
    const queue = open(type, { codec: 'meanwhile', capacityBytes: 4 << 20 });
    const other = open(type);
    const large = range(8).map((item) => `${item}${'x'.repeat(100_000)}`);
    hook = () => meddle(other);
    await queue.putMany(large);
    const [first, ...some] = [queue.getSync(), ...queue.getManySync(3)];
    const lease = await queue.lease();
    const batch = await queue.leaseMany(3);
    await Promise.all([lease.ack(), batch.ack()]);
    const rest = queue.qsizeSync() > 0 ? queue.getManySync(8) : [];
    expect([first, ...some, lease.item, ...batch.items, ...rest]).toEqual(large);
    expect([other.qsizeSync(), (await queue.stats()).leased]).toEqual([0, 0]);
  });

  test('a closed one is closed for whoever still has it, also when others have come since', () => {
    const queue = attach(describeQueue(type));
    const native = nativeOf(queue);
    queue.unlinkSync();
    queue.closeSync();
    const others = range(10).map(() => open(type));
    for (const other of others) other.putSync(Buffer.from('its own'));
    for (const call of [
      () => native.putRaw(Buffer.from('lost')),
      () => native.getNow(),
      () => native.qsize(),
      () => native.shutDown(true),
      () => native.getMany(0, 64, 0, 1),
    ])
      expect(codeOf(call)).toBe('ERR_QUEUE_CLOSED');
    native.close(); // again
    expect(others.map((other) => [other.qsizeSync(), String(other.getSync())])).toEqual(range(10).map(() => [1, 'its own'])); // prettier-ignore
  });

  test('a number that no entry has is taken for a closed one', () => {
    const queue = open(type);
    const calls = functionsOf(queue);
    for (const number of [0, 1 << 20, -1, -(2 ** 31)]) {
      registers[REGISTER_ENTRY] = number;
      expect(codeOf(() => calls.qsize())).toBe('ERR_QUEUE_CLOSED');
      registers[REGISTER_ENTRY] = number;
      expect(codeOf(() => calls.putRaw(Buffer.alloc(1)))).toBe('ERR_QUEUE_CLOSED');
    }
    expect(queue.qsizeSync()).toBe(0);
  });

  test('a number that was asked for before an entry had it is that entry’s from then on', async () => {
    const said = await run(
      `
      const first = open();
      const { native } = first;
      const one = () => sq.getSageQueue('several-' + process.pid + '-' + Math.random());
      const others = [];
      for (let count = 1; count <= 20; count++) {
        const asked = native.configuration.number + count;
        native.registers[given[0]] = asked;
        let code;
        try { native.functions.qsize(); } catch (error) { code = error.code; }
        const next = one();
        next.putSync(count);
        others.push(next);
        say([code, next.native.configuration.number === asked, next.qsizeSync()]);
      }
      for (const queue of [first, ...others]) { queue.unlinkSync(); queue.closeSync(); }
      `,
      describeQueue(type),
      [REGISTER_ENTRY],
    );
    expect(said).toEqual(Array(20).fill(['ERR_QUEUE_CLOSED', true, 1]));
  });

  test('the numbers of those that are gone are used again, each for one', async () => {
    const [highest, numbers, counts] = await run(
      `${HANDLES}
      (async () => {
        const numberOf = (queue) => queue.native.number;
        const one = () => sq.getSageQueue('several-' + process.pid + '-' + Math.random());
        let highest = 0;
        const keep = [];
        for (let round = 0; round < 20; round++) {
          let left = 0;
          const registry = new FinalizationRegistry(() => left--);
          // Some stay open: they keep their numbers, and what is in them.
          keep.push(one());
          keep.at(-1).putSync(Buffer.from(String(round)));
          await (async () => {
            for (let count = 0; count < 20; count++) {
              const queue = one();
              highest = Math.max(highest, numberOf(queue));
              registry.register(queue.native, 0);
              left++;
              queue.unlinkSync();
              queue.closeSync();
            }
          })();
          await collect('twenty entries', () => left === 0);
          await turn();
        }
        say(highest);
        say(new Set(keep.map(numberOf)).size);
        say(keep.map((queue) => Number(queue.getSync())));
        for (const queue of keep) { queue.unlinkSync(); queue.closeSync(); }
      })();`,
      describeQueue(type),
      [],
      GC,
    );
    // 420 were opened.
    expect(highest).toBeLessThanOrEqual(100);
    expect(numbers).toBe(20);
    expect(counts).toEqual(range(20));
  });
});

test('views of one queue stay its own while others are claimed and consumed', () => {
  const [a, b] = [open<SageQueue>('sage_queue'), open<SageQueue>('sage_queue')];
  const [claimA, claimB] = [a.claimSync(4), b.claimSync(6)];
  claimB.bytes.set(Buffer.from('second'));
  claimA.bytes.set(Buffer.from('once'));
  claimB.commit();
  claimA.commit();
  const more = a.claimSync(4);
  const dropped = b.claimSync(1);
  dropped.abort();
  more.bytes.set(Buffer.from('more'));
  more.commit();
  const seen: string[] = [];
  const taken = a.consumeSync((view) => {
    b.putSync(Buffer.from('inner'));
    b.consumeSync((inner) => void seen.push(`b ${Buffer.from(inner).toString()}`), 2);
    seen.push(`a ${Buffer.from(view).toString()}`);
  });
  expect(taken).toBe(2);
  expect(seen).toEqual(['b second', 'b inner', 'a once', 'b inner', 'a more']);
  expect([a.qsizeSync(), b.qsizeSync()]).toEqual([0, 0]);
});

test('calls that wait on several queues are each served from their own', async () => {
  const all = range(6).map((index) => open(index % 2 === 0 ? 'shm' : 'sage_queue', { maxsize: 2 }));
  const gets = all.flatMap((queue) => [queue.get(), queue.getMany(2), queue.lease()]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  for (const round of range(3)) for (const [index, queue] of all.entries()) await queue.put(`${index}:${round}`);
  const got = await Promise.all(gets);
  for (const [index, queue] of all.entries()) {
    const [one, many, lease] = got.slice(3 * index, 3 * index + 3) as [string, string[], { item: string; ack(): Promise<void> }]; // prettier-ignore
    expect([one, many, lease.item]).toEqual([`${index}:0`, [`${index}:1`], `${index}:2`]);
    await lease.ack();
    expect((await queue.stats()).qsize).toBe(0);
  }
});
