/** What a client has, by tag: a lease ends once and only for itself, and the run that was lent is the one who knows. */
import { LeaseTable } from '../../lib/queue/lease-table';
import type { HeldItems, LeaseRun } from '../../lib/queue/lease-table';
import { DeliveryTable, divide, endOf, release } from '../../lib/server/delivery-table';
import type { Delivery, Use } from '../../lib/server/delivery-table';
import { covers } from '../../lib/transports/rpc/wire/protocol';
import { seeded } from '../random';

const calls: string[] = [];
const told = (): string[] => calls.splice(0);
afterEach(told);

/** A queue that writes down what becomes of the items, once `until` is over. */
function held(name: string, until?: Promise<void>): HeldItems {
  const note = (what: string): void | Promise<void> =>
    until === undefined ? void calls.push(what) : until.then(() => void calls.push(what));
  return {
    end: (from, to, acknowledge) => note(`${name} ${acknowledge ? 'ack' : 'back'} ${from}-${to}`),
    undo: (from, to) => note(`${name} undo ${from}-${to}`),
    deliveries: () => 1,
    crashes: () => 0,
  };
}

let leases: LeaseTable;
let table: DeliveryTable;
let tag = 1;

beforeEach(() => {
  [leases, table, tag] = [new LeaseTable(), new DeliveryTable(), 1];
});

function deliver(use: Use, count: number, of: HeldItems): LeaseRun {
  const run = leases.lend(count, of);
  table.add({ first: tag, use, run, from: 0, to: count });
  tag += count;
  return run;
}

test('what was settled is settled no more, and a settle that names one of it is refused as a whole', () => {
  deliver('lease', 5, held('a'));
  expect(table.settle(2, 2, 'ack')).toEqual({ ended: undefined });
  expect(table.settle(2, 2, 'release')).toBeUndefined();
  expect(table.settle(1, 5, 'release')).toBeUndefined();
  expect(table.settle(3, 2, 'ack')).toBeUndefined();
  expect(told()).toEqual(['a ack 1-3']);
  expect(table.settle(4, 2, 'release')).toBeDefined();
  expect(table.settle(1, 1, 'ack')).toBeDefined();
  expect(told()).toEqual(['a back 3-5', 'a ack 0-1']);
  expect(table.isEmpty).toBe(true);
  expect(table.settle(1, 1, 'ack')).toBeUndefined();
});

test('of what goes back only a lease counts, and that only if its program saw it', () => {
  for (const use of ['lease', 'given', 'ahead'] as const) deliver(use, 2, held(use));
  expect(table.settle(1, 1, 'release')).toBeDefined();
  expect(table.settle(2, 1, 'undo')).toBeDefined();
  expect(table.settle(3, 4, 'release')).toBeDefined();
  expect(told()).toEqual(['lease back 0-1', 'lease undo 1-2', 'given undo 0-2', 'ahead undo 0-2']);
});

test.each([
  [{ tag: 1 }, 'ack'],
  [{ release: true }, 'release'],
  [{ release: true, unseen: true }, 'undo'],
  [{ unseen: true }, 'ack'],
] as const)('the settle %p says %s', (settle, how) => expect(endOf(settle)).toBe(how));

test('tags that were never given, and none at all, are refused', () => {
  deliver('given', 2, held('a'));
  for (const [first, count] of [
    [0, 1],
    [1, 3],
    [3, 1],
    [1, 0],
    [0, 3],
  ] as const)
    // prettier-ignore
    expect(table.settle(first, count, 'ack')).toBeUndefined();
  expect(told()).toEqual([]);
  expect(table.isEmpty).toBe(false);
});

test('over several deliveries: what goes back goes oldest first, and only a lease was seen', () => {
  const [a, b, c] = [deliver('lease', 2, held('a')), deliver('given', 2, held('b')), deliver('ahead', 2, held('c'))];
  expect(table.ahead).toBe(2);
  expect(table.settle(2, 4, 'release')).toBeDefined();
  expect(told()).toEqual(['a back 1-2', 'b undo 0-2', 'c undo 0-1']);
  expect([a.open, b.open, c.open, table.ahead]).toEqual([1, 0, 1, 1]);
  expect(table.settle(6, 1, 'ack')).toBeDefined();
  expect(table.settle(3, 1, 'ack')).toBeUndefined();
  expect(table.settle(1, 1, 'ack')).toBeDefined();
  expect(table.isEmpty).toBe(true);
});

test('all of it has ended when settle returns, while the queue of the first is still being told', async () => {
  let done = (): void => {};
  deliver('given', 1, held('slow', new Promise((resolve) => (done = resolve))));
  deliver('given', 1, held('b'));
  const settled = table.settle(1, 2, 'ack');
  expect(table.settle(2, 1, 'release')).toBeUndefined();
  done();
  await settled!.ended;
  expect(told()).toEqual(['slow ack 0-1', 'b ack 0-1']);
});

test('a queue that fails is told of, and keeps no other from its turn', async () => {
  const failing = (): HeldItems => ({
    ...held('failing'),
    end: () => {
      throw new Error('no');
    },
  });
  deliver('given', 1, failing());
  deliver('given', 1, held('b'));
  deliver('given', 1, failing());
  deliver('given', 1, held('d'));
  await expect(table.settle(1, 4, 'ack')!.ended).rejects.toThrow('no');
  expect(told()).toEqual(['b ack 0-1', 'd ack 0-1']);
  expect(table.isEmpty).toBe(true);
});

test('what went with its queue is not here any more', () => {
  deliver('lease', 2, held('a'));
  leases.loseNow();
  expect(told()).toEqual(['a back 0-2']);
  expect(table.isEmpty).toBe(true);
  expect(table.settle(1, 1, 'ack')).toBeUndefined();
  expect(table.takeAll()).toEqual([]);
});

test('what is left is handed over in the order of its tags, and ends as what it was lent as', async () => {
  deliver('lease', 4, held('a'));
  const run = deliver('given', 3, held('b'));
  table.settle(2, 1, 'ack');
  table.settle(6, 1, 'ack');
  told();
  const left = table.takeAll();
  expect(left.map(({ first, use, from, to }) => [first, use, from, to])).toEqual([
    [1, 'lease', 0, 1],
    [3, 'lease', 2, 4],
    [5, 'given', 0, 1],
    [7, 'given', 2, 3],
  ]);
  expect([table.isEmpty, table.ahead]).toEqual([true, 0]);
  const kept = new DeliveryTable();
  for (const delivery of left.splice(2)) kept.add(delivery);
  await release(left, ({ from }) => from === 0);
  expect(told()).toEqual(['a back 0-1', 'a undo 2-4']);
  expect(kept.settle(7, 1, 'ack')).toBeDefined();
  expect(kept.settle(6, 1, 'ack')).toBeUndefined();
  expect(run.open).toBe(1);
});

test('deliveries are divided by any ranges of tags, each item in its place', () => {
  const { below } = seeded('divided deliveries');
  const tags = (deliveries: readonly Delivery[]): number[] =>
    deliveries.flatMap(({ first, from, to, run }) => {
      expect(run.isOpen(from, to)).toBe(true);
      return Array.from({ length: to - from }, (_, index) => first + index);
    });
  for (let round = 0; round < 500; round++) {
    [table, tag] = [new DeliveryTable(), 1 + below(3)];
    for (let count = below(5); count > 0; count--) {
      deliver('given', 1 + below(4), held('any'));
      tag += below(3);
    }
    const ranges: { first: number; count: number }[] = [];
    for (let at = 0; at < 20; at += below(6)) {
      const count = below(5);
      ranges.push({ first: at, count });
      at += count;
    }
    const all = table.takeAll();
    const isIn = (one: number): boolean => ranges.some(({ first, count }) => first <= one && one < first + count);
    const [inside, outside] = divide(all, ranges);
    expect({ ranges, inside: tags(inside), outside: tags(outside) }).toEqual({
      ranges,
      inside: tags(all).filter(isIn),
      outside: tags(all).filter((one) => !isIn(one)),
    });
    for (const one of tags(all)) expect(covers(ranges, one)).toBe(isIn(one));
  }
});
