/**
 * The calls that wait at a queue in shared memory, against a core that says what the test tells it to: which steps are asked for, in which
 * order, and who is served in them.
 */
import type { NativeEntry } from '../../lib/transports/shm/native-entry';
import { GETTERS, PUTTERS, SLEEP, TRY } from '../../lib/transports/shm/addon';
import type { Direction } from '../../lib/transports/shm/addon';
import type { EntryDoorbell } from '../../lib/transports/shm/doorbell';
import { LookAgain } from '../../lib/transports/shm/look-again';
import { WaitList } from '../../lib/transports/shm/wait-list';
import { CallGroup, HOLDS } from '../../lib/wait/call-line';
import { FOR_EVER } from '../../lib/wait/options';

const DONE = 2;

/** How a wait looks before it sleeps: not at all, unless a test says so. */
let looking: { begins: boolean; attempt: () => boolean; sleep: () => void };
jest.mock('../../lib/transports/shm/look-again');
beforeEach(() => {
  jest.mocked(LookAgain).mockImplementation(((attempt: () => boolean, sleep: () => void) => {
    looking = { begins: false, attempt, sleep };
    return { begin: () => looking.begins, stop: () => steps.push('stop looking') };
  }) as never);
});

/** What was asked of the core and of the bell, in order. */
let steps: string[];
/** What the core says is next, call by call; SLEEP where nothing is left. */
let next: number[];
let items: number[];
/** Items in the queue. */
let untaken: number;
let native: NativeEntry;
let bell: EntryDoorbell;
let list: WaitList;
let group: CallGroup;

beforeEach(() => {
  [steps, next, items, untaken] = [[], [], [], 0];
  const answer = (what: string): number => {
    steps.push(what);
    return next.shift() ?? SLEEP;
  };
  native = {
    beginWaiting: () => answer('begin'),
    tried: (_: number, done: boolean) => answer(done ? 'tried: done' : 'tried'),
    rung: () => answer('rung'),
    stopWaiting: () => void steps.push('stop waiting'),
    untaken: () => untaken,
  } as unknown as NativeEntry;
  bell = {
    attach: () => steps.push('attach'),
    watch: () => steps.push('watch'),
    rest: () => steps.push('rest'),
  } as unknown as EntryDoorbell;
  list = new WaitList(native, GETTERS, bell);
  group = new CallGroup();
});

// A call that waits keeps the process.
afterEach(() => list.failAll(() => new Error('the test is over')));

const late = (): Error => new Error('late');
const taken = (): { value: number } | undefined => (items.length === 0 ? undefined : { value: items.shift()! });
const get = (attempt = taken): Promise<number> => list.add(group, FOR_EVER, late, attempt);
const since = (): string[] => steps.splice(0);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the first who waits begins to wait at the queue, and those behind stand in line', async () => {
  expect([list.isTaken, list.isWanted]).toEqual([false, false]);
  const calls = [get(), get()];
  expect([list.isTaken, list.isWanted]).toEqual([true, true]);
  expect(since()).toEqual(['attach', 'begin', 'watch']);
  items.push(1, 2);
  next = [TRY, DONE];
  list.rung();
  expect(await Promise.all(calls)).toEqual([1, 2]);
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'tried: done', 'rest']);
  expect([list.isTaken, list.isWanted]).toEqual([false, false]);
  void get().catch(() => {});
  expect(since()).toEqual(['attach', 'begin', 'watch']);
});

test('the queue is tried as long as the core says so', async () => {
  next = [TRY, TRY, SLEEP];
  const waiting = get();
  expect(since()).toEqual(['attach', 'begin', 'tried', 'tried', 'watch']);
  items.push(1);
  next = [TRY, DONE];
  list.rung();
  expect(await waiting).toBe(1);
});

test('who sleeps, or is done, is tried no more', () => {
  const attempt = jest.fn(() => undefined);
  void get(attempt).catch(() => {});
  expect(attempt).toHaveBeenCalledTimes(0);
  next = [DONE];
  list.rung();
  expect(attempt).toHaveBeenCalledTimes(0);
  expect(since().slice(-3)).toEqual(['attach', 'rung', 'rest']);
});

test('a look meets what comes at once, without a bell', async () => {
  void get().catch(() => {});
  next = [DONE];
  list.rung();
  since();
  looking.begins = true;
  list.rung();
  expect(since()).toEqual([]); // it looks: no bell was asked for
  expect(looking.attempt()).toBe(false);
  items.push(1);
  expect(looking.attempt()).toBe(true);
  void get().catch(() => {}); // waits anew
  expect(since()).toEqual([]);
  looking.sleep();
  expect(since()).toEqual(['attach', 'begin', 'watch']);
});

test.each<[string, Direction, number, boolean]>([
  ['a getter', GETTERS, 1024, true],
  ['a putter where there is little to get', PUTTERS, 1023, true],
  ['a putter where there is plenty', PUTTERS, 1024, false],
])('%s: whether it looks', (_, direction, there, looks) => {
  list = new WaitList(native, direction, bell);
  void get().catch(() => {});
  next = [DONE];
  list.rung();
  since();
  [looking.begins, untaken] = [true, there];
  list.rung();
  expect(since()).toEqual(looks ? [] : ['attach', 'begin', 'watch']);
});

test('a look that served the last is over; one in which somebody still waits is not', async () => {
  void get().catch(() => {});
  next = [DONE];
  list.rung();
  looking.begins = true;
  list.rung();
  since();
  items.push(1);
  expect(looking.attempt()).toBe(true);
  list.close(); // nothing waits at the queue
  expect(since()).toEqual([]);
});

test('a ring takes over from a look', () => {
  void get().catch(() => {});
  since();
  list.rung();
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'watch']);
});

test('a ring with nobody left ends the waiting', () => {
  const controller = new AbortController();
  const goOn = ((): (() => void) => {
    void list.add(group, { timeoutMs: Infinity, signal: controller.signal }, late, taken).catch(() => {});
    return list.hold();
  })();
  controller.abort();
  goOn();
  since();
  list.rung();
  expect(since()).toEqual(['stop looking', 'stop looking', 'stop waiting', 'rest']);
  list.close();
  expect(since()).toEqual([]);
});

test('the leaving of the first has the queue asked for the next one; that of another has not', () => {
  void get().catch(() => {});
  since();
  list.left(false);
  expect(since()).toEqual([]);
  list.left(true);
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'watch']);
});

test('while calls are being ended nobody is served, and nobody is told who left', async () => {
  void get().catch(() => {});
  since();
  const outer = list.hold();
  const inner = list.hold();
  list.left(true);
  inner();
  list.left(true);
  expect(since()).toEqual([]);
  outer();
  list.left(true);
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'watch']);
});

test('nobody begins to wait at the queue within a hold; a ring then comes after it', async () => {
  const goOn = list.hold();
  void get().catch(() => {});
  list.rung();
  list.rung();
  expect(since()).toEqual([]);
  goOn();
  await turn();
  expect(since()).toEqual(['attach', 'begin', 'watch']);
  await turn();
  expect(since()).toEqual([]); // two rings, one time later
});

test('a try that uses its own list serves nobody within itself', async () => {
  const order: string[] = [];
  const first = get(() => {
    if (order.push('first tried') === 1) list.rung();
    return taken();
  });
  const second = get(() => {
    order.push('second tried');
    return taken();
  });
  items.push(1, 2);
  next = [TRY, DONE];
  list.rung();
  expect(order).toEqual(['first tried', 'second tried']);
  expect(await Promise.all([first, second])).toEqual([1, 2]);
  // The ring in the try is heard afterwards, when nobody waits any more.
  since();
  await turn();
  expect(since()).toEqual([]);
  expect(order).toHaveLength(2);
});

test('64 are served, and then the loop has its turn', async () => {
  const calls = Array.from({ length: 65 }, () => get());
  since();
  for (let item = 0; item < 65; item++) items.push(item);
  next = [TRY];
  list.rung();
  expect(items).toEqual([64]);
  expect(since()).toEqual(['stop looking', 'attach', 'rung']);
  next = [TRY, DONE];
  await turn();
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'tried: done', 'rest']);
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 65 }, (_, item) => item));
});

test('64 are served where nobody waits at the queue too', async () => {
  // Those that hold their place ask for nothing; then all can be served.
  let may = false;
  const attempt = (): { value: number } | typeof HOLDS => (may ? { value: 1 } : HOLDS);
  const calls = Array.from({ length: 65 }, () =>
    list.enter({ group, wait: FOR_EVER, late, attempt: attempt as () => { value: number } }, HOLDS),
  );
  expect([list.isTaken, list.isWanted, since()]).toEqual([true, false, []]);
  may = true;
  list.rung();
  await Promise.all(calls.slice(0, 64));
  await Promise.all(calls);
  expect(since()).toEqual([]);
});

test('who holds its place, and then has to wait, begins to wait at the queue', () => {
  let holds = true;
  const attempt = (): typeof HOLDS | undefined => (holds ? HOLDS : undefined);
  void list.enter({ group, wait: FOR_EVER, late, attempt }, HOLDS).catch(() => {});
  list.rung();
  expect(since()).toEqual([]);
  holds = false;
  list.rung();
  expect(since()).toEqual(['attach', 'begin', 'watch']);
});

test('what is closed by what it served goes no further', () => {
  void get(() => {
    list.failAll(() => new Error('gone'));
    return undefined;
  }).catch(() => {});
  since();
  next = [TRY];
  list.rung();
  expect(since()).toEqual(['stop looking', 'attach', 'rung', 'stop looking', 'stop waiting', 'rest']);
});

test('the end of all: each is told, none gets a turn any more, and the bell is taken down once', async () => {
  const attempt = jest.fn(() => undefined);
  const calls = [get(attempt), get(attempt)].map((call) => call.catch((error: Error) => error.message));
  since();
  list.failAll(() => new Error('gone'));
  expect(await Promise.all(calls)).toEqual(['gone', 'gone']);
  expect(attempt).not.toHaveBeenCalled();
  expect(since()).toEqual(['stop looking', 'stop waiting', 'rest']);
  list.close();
  list.failAll(() => new Error('gone'));
  expect(since()).toEqual([]);
});

test('what a try throws ends its call and no more', async () => {
  const bad = get(() => {
    throw new Error('bad');
  });
  const good = get();
  items.push(1);
  next = [TRY, DONE];
  list.rung();
  await expect(bad).rejects.toThrow('bad');
  expect(await good).toBe(1);
  expect(list.isTaken).toBe(false);
});

test('a ring before anybody waited finds nobody', () => {
  list.rung();
  expect(since()).toEqual([]);
});

test('many are served over as many turns of the loop as that takes', async () => {
  const calls = Array.from({ length: 200 }, () => get());
  since();
  items.push(...Array.from({ length: 200 }, (_, index) => index));
  next = [TRY, TRY, TRY, TRY, DONE];
  list.rung();
  for (const left of [136, 72, 8]) {
    expect(items).toHaveLength(left);
    await turn();
  }
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 200 }, (_, index) => index));
});

test('who comes after all were given up waits as the first one did', () => {
  void get().catch(() => {});
  list.failAll(() => new Error('over'));
  since();
  void get().catch(() => {});
  expect(since()).toEqual(['attach', 'begin', 'watch']);
});
