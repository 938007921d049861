/**
 * What a call costs beside the bare round trip that it stands for, a queue there and a queue back: counted, not timed, so that a busy machine
 * says the same. Counted is what crosses into the addon (each move of an item, each look, each wait and wake-up of either side) and the
 * promises that are made; bench/work.mjs takes the time.
 */
import { createHook } from 'node:async_hooks';
import { caller, serve } from '../../lib/work';
import type { NativeEntry } from '../../lib/transports/shm/native-entry';
import { later, queueTypes, track } from './queues';

type EntryModule = typeof import('../../lib/transports/shm/native-entry');

/** By function of the addon. */
let mockCrossings: Record<string, number> = {};
/** Moves of items and looks for them, in their order; those that brought something with a mark. */
let mockMoves: string[] = [];
jest.mock('../../lib/transports/shm/native-entry', () => {
  const actual = jest.requireActual<EntryModule>('../../lib/transports/shm/native-entry');
  const functions = actual.NativeEntry.prototype as unknown as Record<string, unknown>;
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(functions))) {
    if (typeof value !== 'function' || name === 'constructor') continue;
    functions[name] = function (this: NativeEntry, ...given: unknown[]): unknown {
      mockCrossings[name] = (mockCrossings[name] ?? 0) + 1;
      const outcome = (value as (...given: unknown[]) => unknown).apply(this, given);
      if (['putEncoded', 'getMany', 'leaseMany'].includes(name))
        mockMoves.push(name !== 'putEncoded' && Number(outcome) > 0 ? `${name} ✓` : name);
      return outcome;
    };
  }
  return actual;
});

interface Cost {
  /** All of them, for each call. */
  crossings: number;
  /** For each call. */
  promises: number;
  /** In all, by function. */
  by: Record<string, number>;
}

const CALLS = 256;
/** The way is attached and known by then. */
const BEFORE = 32;
/** A call may cost so many bare round trips, of crossings and of promises. */
const MOST = 2.5;
const MOST_PROMISES = 2;

/** Of each of `CALLS` calls, so many of them under way at a time. */
async function costOf(call: (n: number) => Promise<unknown>, atOnce = 1): Promise<Cost> {
  for (let n = 0; n < BEFORE; n++) await call(n);
  mockCrossings = {};
  let promises = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') promises++;
    },
  }).enable();
  const line = async (): Promise<void> => {
    for (let n = 0; n < CALLS / atOnce; n++) await call(n);
  };
  await Promise.all(Array.from({ length: atOnce }, line));
  hook.disable();
  const crossings = Object.values(mockCrossings).reduce((sum, count) => sum + count, 0);
  return { crossings: crossings / CALLS, promises: promises / CALLS, by: { ...mockCrossings } };
}

async function roundTrip(): Promise<(n: number) => Promise<unknown>> {
  const [there, back] = [await queueTypes.sage_queue!(), await queueTypes.sage_queue!()];
  const echo = async (): Promise<void> => {
    for await (const item of there) await back.put(item);
  };
  const echoing = echo();
  later(async () => {
    await there.shutdown();
    await echoing;
  });
  return async (n) => {
    await there.put(n);
    return back.get();
  };
}

async function served(): Promise<(n: number) => Promise<unknown>> {
  const queue = await queueTypes.sage_queue!();
  track(serve<number, number>(queue, (n) => n, { concurrency: 64 }));
  const one = caller<number, number>(queue);
  later(() => one.close());
  return (n) => one.call(n);
}

test('a call is at most two and a half round trips, one at a time', async () => {
  const bare = await costOf(await roundTrip());
  const call = await costOf(await served());
  // There and back: nothing else is put, and nothing is asked of either queue.
  expect(bare.by).toMatchObject({ putEncoded: 2 * CALLS });
  expect(call.by).toMatchObject({ putEncoded: 2 * CALLS, endLeases: CALLS });
  for (const question of ['put', 'stats', 'qsize', 'lease', 'putMany']) expect(call.by).not.toHaveProperty(question);
  expect(call.crossings).toBeLessThanOrEqual(MOST * bare.crossings);
  expect(call.promises).toBeLessThanOrEqual(MOST_PROMISES * bare.promises);
});

test('an answer goes out, and so does the next call, before either side asks for more', async () => {
  const call = await served();
  for (let n = 0; n < BEFORE; n++) await call(n);
  mockMoves = [];
  for (let n = 0; n < CALLS; n++) await call(n);
  // Up to the put that follows: one look more, for what else is there.
  const looksAfter = (move: string): number[] =>
    mockMoves.flatMap((one, at) => {
      const end = one === `${move} ✓` ? mockMoves.indexOf('putEncoded', at) : -1;
      return end === -1 ? [] : [mockMoves.slice(at + 1, end).filter((other) => other === move).length];
    });
  expect(looksAfter('leaseMany')).toEqual(Array.from({ length: CALLS }, () => 1));
  expect(looksAfter('getMany')).toEqual(Array.from({ length: CALLS - 1 }, () => 1));
});

test('calls that are under way together share their crossings', async () => {
  const call = await served();
  const alone = await costOf(call);
  const together = await costOf(call, 64);
  expect(together.crossings).toBeLessThan(alone.crossings / 2);
});
