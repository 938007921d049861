/** The book of leases of one handle: each ends once, in as few calls as there are stretches, and what is open goes back with the handle. */
import { LeaseRun, LeaseTable } from '../../lib/queue/lease-table';
import type { HeldItems } from '../../lib/queue/lease-table';

/** A queue that writes down what becomes of the items. */
class Held implements HeldItems {
  readonly calls: string[] = [];
  end(from: number, to: number, acknowledge: boolean): void {
    this.calls.push(`${acknowledge ? 'ack' : 'back'} ${from}-${to}`);
  }
  undo?(from: number, to: number): void;
  setAside?(from: number, to: number, aside: boolean): void;
  deliveries(index: number): number {
    return 10 + index;
  }
  crashes(index: number): number {
    return 20 + index;
  }
}

class Undoing extends Held {
  override undo(from: number, to: number): void {
    this.calls.push(`undo ${from}-${to}`);
  }
  override setAside(from: number, to: number, aside: boolean): void {
    this.calls.push(`${aside ? 'aside' : 'begin'} ${from}-${to}`);
  }
}

let table: LeaseTable;
let held: Held;
let run: LeaseRun;

beforeEach(() => {
  table = new LeaseTable();
  held = new Held();
  run = table.lend(5, held);
});

const ended = (): string[] => held.calls.splice(0);

test('those that end together end in one call, and once', () => {
  expect(table.open).toBe(5);
  expect(run.isOpen(0, 5)).toBe(true);
  void run.end(0, 5, true);
  void run.end(0, 5, true);
  void run.end(2, 3, false);
  expect(ended()).toEqual(['ack 0-5']);
  expect(run.isOpen(0, 5)).toBe(false);
  expect(run.open).toBe(0);
  expect(table.open).toBe(0);
});

test('one ends for itself, and the rest in the stretches that are left, in their order', () => {
  void run.end(2, 3, true);
  expect(ended()).toEqual(['ack 2-3']);
  expect(table.open).toBe(4);
  expect([run.isOpen(0, 2), run.isOpen(2, 3), run.isOpen(1, 4), run.isOpen(3, 5)]).toEqual([true, false, false, true]);
  expect([run.isAnyOpen(0, 2), run.isAnyOpen(2, 3), run.isAnyOpen(1, 4)]).toEqual([true, false, true]);
  void run.end(2, 3, false);
  expect(ended()).toEqual([]);
  void run.end(1, 4, false);
  expect(ended()).toEqual(['back 1-2', 'back 3-4']);
  expect(table.open).toBe(2);
  void run.end(0, 5, true);
  expect(ended()).toEqual(['ack 0-1', 'ack 4-5']);
  void run.end(0, 5, true);
  expect(ended()).toEqual([]);
  expect(table.open).toBe(0);
});

test('a stretch does not reach beyond what was asked for', () => {
  void run.end(4, 5, true);
  ended();
  void run.end(1, 3, true);
  expect(ended()).toEqual(['ack 1-3']);
  expect(run.isOpen(0, 1)).toBe(true);
  expect(run.isOpen(3, 4)).toBe(true);
});

test('no lease at all is no call', () => {
  void run.end(2, 2, true);
  void run.undo(5, 5);
  expect(ended()).toEqual([]);
  expect(run.isOpen(0, 5)).toBe(true);
  expect(table.open).toBe(5);
});

test('undone, they go back as if they had not been lent, where their queue can do that', () => {
  void run.undo(0, 5);
  void run.undo(0, 5);
  expect(ended()).toEqual(['back 0-5']);
  const undoing = new Undoing();
  void table.lend(3, undoing).undo(1, 3);
  expect(undoing.calls).toEqual(['undo 1-3']);
  expect(table.open).toBe(1);
});

test('put aside are those that are open, where their queue can tell them apart', () => {
  run.setAside(0, 5, true);
  expect(ended()).toEqual([]);
  expect(run.canUndo).toBe(false);
  const undoing = new Undoing();
  const lent = table.lend(3, undoing);
  expect(lent.canUndo).toBe(true);
  void lent.undo(1, 2);
  lent.setAside(0, 3, true);
  lent.setAside(2, 3, false);
  expect(undoing.calls).toEqual(['undo 1-2', 'aside 0-1', 'aside 2-3', 'begin 2-3']);
});

test('calls that take time follow each other', async () => {
  const order: string[] = [];
  const slow: HeldItems = {
    async end(from, to) {
      order.push(`begin ${from}-${to}`);
      await Promise.resolve();
      order.push(`end ${from}-${to}`);
    },
    deliveries: () => 0,
    crashes: () => 0,
  };
  const some = table.lend(3, slow);
  await some.end(1, 2, true);
  order.length = 0;
  await some.end(0, 3, false);
  expect(order).toEqual(['begin 0-1', 'end 0-1', 'begin 2-3', 'end 2-3']);
});

test('the handle goes: what is open goes back, the oldest run first, and nothing else', async () => {
  const calls: string[] = [];
  const named = (name: string): HeldItems => ({
    end: (from, to, acknowledge) => void calls.push(`${name} ${acknowledge ? 'ack' : 'back'} ${from}-${to}`),
    deliveries: () => 0,
    crashes: () => 0,
  });
  const runs = ['a', 'b', 'c'].map((name) => table.lend(2, named(name)));
  void runs[1]!.end(0, 2, true);
  calls.length = 0;
  await table.lose();
  expect(calls).toEqual(['a back 0-2', 'c back 0-2']);
  expect(ended()).toEqual(['back 0-5']);
  await table.lose();
  table.loseNow();
  expect(calls).toHaveLength(2);
  expect(table.open).toBe(0);
});

test('… at once, where its queue needs no time', () => {
  void run.end(0, 1, true);
  ended();
  table.loseNow();
  expect(ended()).toEqual(['back 1-5']);
});

const LOST = 'The handle was closed before this lease was acknowledged';

test('an ack of what went with its handle says so, once for each', () => {
  table.loseNow();
  expect(() => void run.end(1, 2, false)).not.toThrow();
  expect(() => void run.end(1, 2, true)).not.toThrow();
  expect(() => void run.end(2, 3, true)).toThrow(LOST);
  expect(() => void run.end(2, 3, true)).not.toThrow();
  expect(() => void run.end(0, 5, true)).toThrow(LOST);
  expect(() => void run.end(0, 5, true)).not.toThrow();
  expect(ended()).toEqual(['back 0-5']);
});

test('… also of all of them, of one that ended before, and of none', () => {
  void run.end(0, 1, true);
  table.loseNow();
  expect(() => void run.end(0, 1, true)).not.toThrow();
  expect(() => void run.end(0, 3, true)).toThrow(LOST);
  expect(() => void run.end(3, 3, true)).not.toThrow();
  const whole = table.lend(2, held);
  table.loseNow();
  expect(() => void whole.end(1, 1, true)).not.toThrow();
  expect(() => void whole.end(0, 2, true)).toThrow(LOST);
  expect(() => void whole.end(0, 2, true)).not.toThrow();
});

test('… also of those that were not asked about before', () => {
  table.loseNow();
  expect(() => void run.end(3, 5, true)).toThrow(LOST);
  expect(() => void run.end(0, 3, true)).toThrow(LOST);
  expect(() => void run.end(0, 5, true)).not.toThrow();
  const other = table.lend(5, held);
  table.loseNow();
  expect(() => void other.end(0, 2, true)).toThrow(LOST);
  expect(() => void other.end(2, 5, true)).toThrow(LOST);
});

test('a run that has ended is forgotten, and one of nothing is not kept', () => {
  const runs = (table as unknown as { runs: Set<LeaseRun> }).runs;
  table.lend(0, held);
  expect(runs.size).toBe(1);
  void run.end(0, 4, true);
  expect(runs.size).toBe(1);
  void run.end(4, 5, true);
  expect(runs.size).toBe(0);
});

test('a lease is one item, with what is known of it, and ends by ack, release or its scope', async () => {
  const leases = ['x', 'y', 'z'].map((item, index) => run.lease(index + 1, item));
  expect(leases[1]).toMatchObject({ item: 'y', deliveries: 12, crashes: 22 });
  await leases[0]!.ack();
  await leases[0]!.release();
  await leases[1]!.release();
  await leases[2]![Symbol.asyncDispose]();
  expect(ended()).toEqual(['ack 1-2', 'back 2-3', 'back 3-4']);
});

test('an ack waits for its queue', async () => {
  let done = (): void => {};
  const slow: HeldItems = {
    end: () => new Promise((resolve) => (done = resolve)),
    deliveries: () => 0,
    crashes: () => 0,
  };
  let acknowledged = false;
  const ack = table
    .lend(1, slow)
    .lease(0, 'x')
    .ack()
    .then(() => (acknowledged = true));
  await new Promise(setImmediate);
  expect(acknowledged).toBe(false);
  done();
  await ack;
});

test('an ack that its queue is told of at once is answered before the next microtask', async () => {
  const order: string[] = [];
  const ack = table.lend(1, held).lease(0, 'x').ack();
  await Promise.all([
    ack.then(() => order.push('ack')),
    Promise.resolve().then(() => order.push('the next microtask')),
  ]);
  expect(order).toEqual(['ack', 'the next microtask']);
});

test('acks that are answered at once let the event loop go on', async () => {
  const many = table.lend(3000, held);
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  for (let index = 0; index < 3000; index++) await many.lease(index, index).ack();
  over = true;
  expect(turns).toBeGreaterThanOrEqual(5);
  expect(turns).toBeLessThan(20);
});

test('a lost lease whose ack comes after another one that fails leaves no rejection that nobody hears', async () => {
  const run = new LeaseRun(1, { end: () => undefined, deliveries: () => 1, crashes: () => 0 });
  await run.lose();
  const unheard = jest.fn();
  process.on('unhandledRejection', unheard);
  expect(() => run.end(0, 1, true, Promise.reject(new Error('before it')))).toThrow('The handle was closed');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unheard);
  expect(unheard).not.toHaveBeenCalled();
});
