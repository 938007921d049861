/** What the contract's tests share: the runner's functions, errors by code, and waits that are measured against a plain timer. */
import assert from 'node:assert/strict';
import type { Awaitable, Queue, QueueLike } from '../queue/types';

export interface Runner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
}

let imported: Runner | undefined;

/** For runners that can only be imported: the ESM face of the package hands over vitest. */
export function useRunner(runner: Runner): void {
  imported = runner;
}

/** jest, vitest and mocha put theirs on the global object, the first two unless told not to; node:test is imported. */
export function findRunner(): Runner {
  const { describe, it } = globalThis as unknown as Partial<Runner>;
  if (typeof describe === 'function' && typeof it === 'function') return { describe, it };
  if (imported !== undefined) return imported;
  if (Object.hasOwn(globalThis, '__vitest_worker__')) {
    throw new TypeError(
      "describeQueueContract cannot reach vitest from here. Import 'sage-queue/testing' instead of requiring it, or set `globals: true`.",
    );
  }
  /* eslint-disable @typescript-eslint/no-require-imports -- only where there is no other runner */
  if (process.env.JEST_WORKER_ID !== undefined) {
    try {
      return require('@jest/globals') as Runner;
    } catch {
      // A process that a jest test started inherits the variable.
    }
  }
  return require('node:test') as Runner;
  /* eslint-enable @typescript-eslint/no-require-imports */
}

/** By title. */
export type Tests<Q> = Readonly<Record<string, (queue: Q) => Promise<void>>>;

export type MakeQueue = () => Awaitable<QueueLike>;

/** Runs one test on a fresh queue, then empties and closes it, so that the next queue of that name starts from nothing. */
export async function withQueue(make: MakeQueue, body: (queue: QueueLike) => Promise<void>): Promise<void> {
  // A queue need not keep the process while it waits, and node:test gives up a test that nothing keeps.
  const awake = setInterval(() => {}, 2 ** 30);
  try {
    const queue = await make();
    try {
      await body(queue);
    } finally {
      await emptyAndClose(queue);
    }
  } finally {
    clearInterval(awake);
  }
}

async function emptyAndClose(queue: QueueLike): Promise<void> {
  try {
    for (;;) await queue.get({ block: false });
  } catch {
    // Empty, shut down or closed: nothing is left that this handle could take.
  }
  await (queue as Partial<Queue>).close?.();
}

const queueMethods = [
  'full',
  'putMany',
  'getMany',
  'readable',
  'writable',
  'lease',
  'shutdown',
  'close',
  'ref',
  'unref',
  'stats',
] as const;

/** The queue as a whole `Queue`; undefined for one that only has the four methods. */
export function asWholeQueue(queue: QueueLike): Queue | undefined {
  return queueMethods.every((name) => typeof (queue as Partial<Queue>)[name] === 'function')
    ? (queue as Queue)
    : undefined;
}

/** Expects a rejection (or a throw) and returns what was thrown. */
export async function failure(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  assert.fail('expected an error, but the call succeeded');
}

export async function fails(action: () => unknown, code: string): Promise<Error & { accepted?: number }> {
  const error = (await failure(action)) as Error & { code?: string };
  assert.equal(error?.code, code, `expected ${code}, found ${String(error)}`);
  return error;
}

export async function failsWithRangeError(action: () => unknown): Promise<void> {
  const error = (await failure(action)) as Error;
  // By name: a runner may give each test file its own globals.
  assert.equal(error?.name, 'RangeError', `expected a RangeError, found ${String(error)}`);
}

/** Expects the wait to end with `code`, not before `timeoutMs` and at most 50 ms after a plain timer of that length. */
export async function failsInTime(action: () => unknown, code: string, timeoutMs: number): Promise<void> {
  const start = performance.now();
  let timerMs = Infinity;
  const timer = new Promise<void>((resolve) => {
    setTimeout(() => {
      timerMs = performance.now() - start;
      resolve();
    }, timeoutMs);
  });
  await fails(action, code);
  const tookMs = performance.now() - start;
  await timer;
  assert.ok(tookMs >= timeoutMs - 1, `waited ${tookMs} ms instead of ${timeoutMs} ms`);
  assert.ok(tookMs <= timerMs + 50, `waited ${tookMs} ms; a plain timer of ${timeoutMs} ms took ${timerMs} ms`);
}

/** Lets everything run that is ready to. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Puts until the queue is full, and returns how many went in. */
export async function fill(queue: QueueLike, from = 0): Promise<number> {
  for (let count = 0; count < 200_000; count++) {
    try {
      await queue.put(from + count, { block: false });
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_QUEUE_FULL');
      return count;
    }
  }
  assert.fail('a queue declared as bounded took 200 000 items');
}

export async function take(queue: QueueLike, count: number): Promise<unknown[]> {
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) items.push(await queue.get({ timeoutMs: 5000 }));
  return items;
}

export const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);
