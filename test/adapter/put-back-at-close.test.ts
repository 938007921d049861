/** What a closed handle had on lease goes back into an inner queue that others have filled: close() waits for that so long, and no longer. */
import { QueueDescriptor, QueueFullError, registerQueueImplementation, resolveDescriptor } from '../../lib/index';
import type { Queue, QueueLike, WaitOptions } from '../../lib/index';
import { Impatient } from './queues';

const MAXSIZE = 4;

/** Room for four, whoever uses it. */
class Bounded extends Impatient<number> {
  override put(item: number, _options?: WaitOptions): void | Promise<void> {
    if (this.items.length >= MAXSIZE) throw new QueueFullError();
    return super.put(item);
  }
}

/** Waits for room as its options say. */
class Patient extends Bounded {
  private readonly waiting: (() => void)[] = [];

  override async put(item: number, options?: WaitOptions): Promise<void> {
    const { block = true, timeoutMs = Infinity } = options ?? {};
    const deadline = block ? performance.now() + timeoutMs : 0;
    while (this.items.length >= MAXSIZE) {
      if (performance.now() >= deadline) throw new QueueFullError();
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
        if (timeoutMs < Infinity) setTimeout(resolve, timeoutMs);
      });
    }
    this.items.push(item);
  }

  override get(): number | Promise<number> {
    this.waiting.shift()?.();
    return super.get();
  }
}

/** Waits for room whatever its options say. */
class Deaf extends Patient {
  override put(item: number): Promise<void> {
    return super.put(item);
  }
}

const types = { bounded: Bounded, patient: Patient, deaf: Deaf };
for (const name of Object.keys(types)) registerQueueImplementation(`back_${name}`, () => inner);

let inner: QueueLike<number> & Impatient<number>;
let queue: Queue<number>;
let warnings: string[];

const start = async (type: keyof typeof types): Promise<void> => {
  inner = new types[type]();
  queue = resolveDescriptor(new QueueDescriptor({ queueId: 'back', queueType: `back_${type}`, metadata: { maxsize: MAXSIZE } })); // prettier-ignore
  await queue.putMany([1, 2, 3, 4]);
};

beforeEach(() => {
  warnings = [];
  jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)));
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
});

afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
});

/** How long the close takes, to a tenth of a second; no more than ten. */
const closed = async (): Promise<number | undefined> => {
  let done = false;
  const closing = queue.close().then(() => (done = true));
  for (let tenths = 0; tenths <= 100; tenths++) {
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    if (done) return (await closing, tenths / 10);
    await jest.advanceTimersByTimeAsync(100);
  }
  return undefined;
};

test.each(Object.keys(types) as (keyof typeof types)[])('%s', async (type) => {
  await start(type);
  await queue.leaseMany(4);
  inner.items.push(5, 6, 7, 8);
  const seconds = await closed();
  expect(seconds).toBeGreaterThan(1.5);
  expect(seconds).toBeLessThan(2.5);
  expect(warnings).toHaveLength(type === 'deaf' ? 1 : 4);
  expect(warnings[0]).toMatch(type === 'deaf' ? /^4 items .* may still take them/ : /could not be put back/);
  // What one that is deaf has been given goes in when there is room.
  const seen = Array.from({ length: 4 }, () => inner.get());
  await jest.advanceTimersByTimeAsync(100);
  expect(seen).toEqual([5, 6, 7, 8]);
  expect(inner.items).toEqual(type === 'deaf' ? [1, 2, 3, 4] : []);
});

test.each(Object.keys(types) as (keyof typeof types)[])('%s, which has room in time', async (type) => {
  await start(type);
  await queue.leaseMany(4);
  inner.items.push(5, 6, 7, 8);
  const closing = closed();
  await jest.advanceTimersByTimeAsync(500);
  for (let count = 0; count < 4; count++) await inner.get();
  expect(await closing).toBeLessThan(1.5);
  expect(inner.items).toEqual([1, 2, 3, 4]);
  expect(warnings).toEqual([]);
});

test('an item that comes once the handle is closed waits for room as long', async () => {
  await start('patient');
  let bring = (_item: number): void => {};
  inner.get = () => new Promise((resolve) => (bring = resolve));
  const waiting = queue.get().catch((error: { code: string }) => error.code);
  await queue.close();
  expect(await waiting).toBe('ERR_QUEUE_CLOSED');
  bring(0);
  await jest.advanceTimersByTimeAsync(1500);
  expect(warnings).toEqual([]);
  await jest.advanceTimersByTimeAsync(1000);
  expect(warnings).toEqual([expect.stringContaining('could not be put back')]);
  expect(inner.items).toEqual([1, 2, 3, 4]);
});
