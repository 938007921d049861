/** How a thread hears the rings of others: its pipe, the tags in it, and the looks where there is no pipe or nobody watches. */
import type { NativeEntry } from '../../lib/transports/shm/native-entry';
import { EntryDoorbell } from '../../lib/transports/shm/doorbell';

/** What the addon and the event loop were asked for, in order. */
const steps: unknown[] = [];

class FakeSocket {
  readonly handlers: Record<string, () => void> = {};

  constructor(readonly options: { fd: number; onread: { buffer: Buffer; callback(count: number): boolean } }) {
    sockets.push(this);
  }

  on(event: string, handler: () => void): void {
    this.handlers[event] = handler;
  }

  resume(): void {
    steps.push('resume');
  }

  unref(): void {
    steps.push('unref');
  }

  destroy(): void {
    steps.push('destroy');
  }

  /** So many bytes come out of the pipe. */
  read(bytes: Buffer): void {
    bytes.copy(this.options.onread.buffer);
    expect(this.options.onread.callback(bytes.length)).toBe(true);
  }
}

let sockets: FakeSocket[] = [];
let bells = 0;
/** Why there is none to be had. */
let refusal: Error | undefined;

jest.mock('../../lib/util/lazy-node', () => ({ nodeNet: () => ({ Socket: FakeSocket }) }));
jest.mock('../../lib/transports/shm/addon', () => ({
  loadAddon: () => ({
    createBell: (permissions: number, group: number) => {
      steps.push(`create ${permissions.toString(8)} ${group}`);
      if (refusal !== undefined) throw refusal;
      return { number: ++bells, readFd: 100 + bells };
    },
    closeBell: (number: number) => steps.push(`close ${number}`),
  }),
}));

/** An entry's place at the bell of those who may ring with `permissions`. */
class Place {
  rung = 0;
  tag = 0;
  bell = 0;
  mustPoll = false;
  isWhole = true;
  readonly pull: EntryDoorbell;

  constructor(permissions = 0o600, group = 7) {
    const entry = {
      setBell: (bell: number, tag: number) => {
        [this.bell, this.tag] = [bell, tag];
        return this.isWhole;
      },
      mustPoll: () => this.mustPoll,
    } as unknown as NativeEntry;
    this.pull = new EntryDoorbell(entry, { permissions, group }, { rung: () => this.looks() });
    places.push(this);
  }

  /** What waits on its behalf, and is told so. */
  waits = (): void => {};

  private looks(): void {
    this.rung++;
    this.waits();
  }
}

let places: Place[] = [];
const since = (): unknown[] => steps.splice(0);
const tags = (...all: number[]): Buffer => Buffer.from(Uint32Array.from(all).buffer);

beforeEach(() => {
  jest.useFakeTimers();
  [sockets, places, bells, refusal] = [[], [], 0, undefined];
  steps.length = 0;
});
afterEach(() => {
  for (const { pull } of places) pull.detach();
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

test('the first who comes opens the bell, the last who goes closes it, and it keeps no process', () => {
  const [one, other] = [new Place(), new Place()];
  one.pull.attach();
  expect(since()).toEqual(['create 0 0', 'resume', 'unref']);
  expect(sockets[0]!.options).toMatchObject({ fd: 101, readable: true, writable: false });
  one.pull.attach();
  other.pull.attach();
  expect(since()).toEqual([]);
  expect([one.bell, other.bell]).toEqual([1, 1]);
  expect(one.tag).not.toBe(other.tag);
  one.pull.detach();
  expect(since()).toEqual([]);
  one.pull.detach();
  other.pull.detach();
  expect(since()).toEqual(['destroy', 'close 1']);
  other.pull.attach();
  expect(since()).toEqual(['create 0 0', 'resume', 'unref']);
  expect(other.bell).toBe(2);
});

test('each group of people who may ring has a bell of its own', () => {
  const all = [new Place(0o600, 7), new Place(0o620, 7), new Place(0o620, 8), new Place(0o622, 7), new Place(0o644, 9)];
  for (const { pull } of all) pull.attach();
  expect(all.map(({ bell }) => bell)).toEqual([1, 2, 3, 4, 1]);
  expect(since().filter((step) => String(step).startsWith('create'))).toEqual([
    'create 0 0',
    'create 20 7',
    'create 20 8',
    'create 22 7',
  ]);
});

test('who is named by a tag is rung, once for all that came together, and nobody else', () => {
  const [one, other] = [new Place(), new Place()];
  for (const { pull } of places) pull.attach();
  sockets[0]!.read(tags(other.tag, other.tag));
  expect([one.rung, other.rung]).toEqual([0, 1]);
  sockets[0]!.read(tags(one.tag, other.tag, 12345));
  expect([one.rung, other.rung]).toEqual([1, 2]);
  other.pull.detach();
  sockets[0]!.read(tags(other.tag));
  expect([one.rung, other.rung]).toEqual([1, 2]);
});

test('a tag that comes in two pieces rings when it is whole', () => {
  const one = new Place();
  one.pull.attach();
  const bytes = tags(one.tag, one.tag);
  sockets[0]!.read(bytes.subarray(0, 2));
  expect(one.rung).toBe(0);
  sockets[0]!.read(bytes.subarray(2, 5));
  expect(one.rung).toBe(1);
  sockets[0]!.read(bytes.subarray(5));
  expect(one.rung).toBe(2);
  sockets[0]!.read(bytes.subarray(0, 4));
  expect(one.rung).toBe(3);
});

test('a piece of a tag is no part of what comes from the next pipe', () => {
  const one = new Place();
  one.pull.attach();
  sockets[0]!.read(tags(one.tag).subarray(0, 3));
  one.pull.detach();
  one.pull.attach();
  sockets[1]!.read(tags(one.tag));
  expect(one.rung).toBe(1);
});

test('a pipe that may have been full rings everybody, and so does one that fails', () => {
  const [one, other] = [new Place(), new Place()];
  for (const { pull } of places) pull.attach();
  sockets[0]!.read(tags(...Array.from({ length: 1023 }, () => one.tag)));
  expect([one.rung, other.rung]).toEqual([1, 0]);
  sockets[0]!.read(tags(...Array.from({ length: 1024 }, () => one.tag)));
  expect([one.rung, other.rung]).toEqual([2, 1]);
  sockets[0]!.handlers.error!();
  expect([one.rung, other.rung]).toEqual([3, 2]);
});

test('nobody looks by itself where rings come and somebody watches the others', () => {
  const one = new Place();
  one.pull.attach();
  one.pull.watch(one);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(0);
});

test('who is not watched for looks every 10 ms while it waits, however many wait on its behalf', () => {
  const one = new Place();
  const [first, second] = [{}, {}];
  one.pull.attach();
  one.mustPoll = true;
  one.pull.watch(first);
  one.pull.watch(second);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(10);
  one.pull.rest(first);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(20);
  one.mustPoll = false;
  one.pull.watch(second);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(20);
  one.mustPoll = true;
  one.pull.watch(second);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(30);
  one.pull.rest(second);
  jest.advanceTimersByTime(100);
  expect(one.rung).toBe(30);
});

test('where no bell can be had who waits looks by itself, and asks for one before each look, until there is one', () => {
  const one = new Place();
  one.waits = () => {
    steps.push(`look at ${one.bell}`);
    one.pull.attach();
    one.pull.watch(one);
  };
  refusal = new Error('no descriptors');
  one.pull.attach();
  one.pull.attach();
  one.pull.watch(one);
  expect(since()).toEqual(['create 0 0']);
  jest.advanceTimersByTime(20);
  expect(since()).toEqual(['create 0 0', 'look at 0', 'create 0 0', 'look at 0']);
  refusal = undefined;
  jest.advanceTimersByTime(10);
  expect(since()).toEqual(['create 0 0', 'resume', 'unref', 'look at 1']);
  expect(jest.getTimerCount()).toBe(0);
  sockets[0]!.read(tags(one.tag));
  expect(since()).toEqual(['look at 1']);
});

test('a bell that another one had made is there at the next look; one that is hung is not hung again', () => {
  const [one, other] = [new Place(), new Place()];
  refusal = new Error('no descriptors');
  one.pull.attach();
  one.pull.watch(one);
  refusal = undefined;
  other.pull.attach();
  expect([one.bell, other.bell]).toEqual([0, 1]);
  one.mustPoll = true;
  jest.advanceTimersByTime(10);
  expect([one.bell, one.tag !== other.tag]).toEqual([1, true]);
  one.bell = 7;
  jest.advanceTimersByTime(10);
  expect([one.bell, one.rung]).toEqual([7, 2]);
  expect(since().filter((step) => String(step).startsWith('create'))).toHaveLength(2);
});

test('a bell that not everybody can ring is hung again before each look', () => {
  const one = new Place();
  one.isWhole = false;
  one.pull.attach();
  one.pull.watch(one);
  one.bell = 0;
  jest.advanceTimersByTime(10);
  expect([one.bell, one.rung]).toEqual([1, 1]);
  one.isWhole = true;
  jest.advanceTimersByTime(10);
  one.pull.watch(one);
  expect(jest.getTimerCount()).toBe(0);
});

test('who has gone hears nothing of the bell it had, where there is no other', () => {
  const one = new Place();
  one.pull.attach();
  one.pull.detach();
  refusal = new Error('no descriptors');
  one.pull.attach();
  one.pull.watch(one);
  jest.advanceTimersByTime(10);
  expect(one.rung).toBe(1);
  one.pull.detach();
  expect(since().slice(-1)).toEqual(['create 0 0']);
});

test('who goes looks no more, and is forgotten by those it waited for', () => {
  const one = new Place();
  const [first, second] = [{}, {}];
  one.mustPoll = true;
  one.pull.attach();
  one.pull.watch(first);
  one.pull.detach();
  expect(jest.getTimerCount()).toBe(0);
  one.pull.attach();
  one.pull.watch(second);
  one.pull.rest(second); // the first one is no reason to go on
  expect(jest.getTimerCount()).toBe(0);
});

test('a look keeps no process', () => {
  const unref = jest.fn();
  const interval = jest.spyOn(global, 'setInterval').mockImplementation((() => ({ unref })) as never);
  const one = new Place();
  one.mustPoll = true;
  one.pull.attach();
  one.pull.watch(one);
  expect(unref).toHaveBeenCalledTimes(1);
  interval.mockRestore();
});

test.each(['bun', 'Deno'])('in %s there is no pipe, and who waits looks', (runtime) => {
  if (runtime === 'bun') Object.defineProperty(process.versions, 'bun', { value: '1', configurable: true });
  else Object.defineProperty(globalThis, 'Deno', { value: {}, configurable: true });
  try {
    const one = new Place();
    one.pull.attach();
    one.pull.watch(one);
    expect([since(), one.tag]).toEqual([[], 0]);
    jest.advanceTimersByTime(20);
    expect(one.rung).toBe(2);
    one.pull.detach();
    expect(since()).toEqual([]);
  } finally {
    if (runtime === 'bun') delete process.versions.bun;
    else delete (globalThis as { Deno?: unknown }).Deno;
  }
});
