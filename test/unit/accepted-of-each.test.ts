/** Several putManys that one close of their handle ends: each says how many of its own items went in. */
import { QueueDescriptor, QueueTimeoutError, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { FourOverridden } from '../adapter/queues';

/** Gives so many, and then nothing more. */
async function* silentAfter(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) yield number;
  await new Promise(() => {});
}

let count = 0;
const descriptor = (): QueueDescriptor => QueueDescriptor.createLocalQueue(`accepted-of-each-${count++}`);
const types: [string, () => Queue<number>][] = [
  ['local', () => resolveDescriptor<number>(descriptor())],
  ["a type of one's own", () => new FourOverridden<number>(descriptor())],
];

test.each(types)('of %s', async (_type, open) => {
  const queue = open();
  const puts = [1, 3, 2].map((count) => queue.putMany(silentAfter(count)).catch((error: Error) => error));
  while ((await queue.qsize()) < 6) await new Promise(setImmediate);
  await queue.close();
  const told = (await Promise.all(puts)) as (Error & { accepted: number; code: string })[];
  expect(told.map(({ accepted, code }) => [accepted, code])).toEqual([1, 3, 2].map((count) => [count, 'ERR_QUEUE_CLOSED'])); // prettier-ignore
});

test.each(types)(
  'of %s, which a signal ends whose reason is an error of this package: that one, and no other',
  async (_type, open) => {
    const queue = open();
    const ending = new AbortController();
    const reason = new QueueTimeoutError('the reason');
    const puts = [1, 3].map((count) =>
      queue.putMany(silentAfter(count), { signal: ending.signal }).catch((error: unknown) => error),
    );
    while ((await queue.qsize()) < 4) await new Promise(setImmediate);
    ending.abort(reason);
    for (const error of await Promise.all(puts)) expect(error).toBe(reason);
    // It would be the other's.
    expect(reason.accepted).toBeUndefined();
    await queue.close();
  },
);

test.each(types)('of %s, which a signal ends: with the number where it is the same', async (_type, open) => {
  const queue = open();
  const ending = new AbortController();
  const puts = [2, 2].map((count) =>
    queue.putMany(silentAfter(count), { signal: ending.signal }).catch((error: unknown) => error),
  );
  while ((await queue.qsize()) < 4) await new Promise(setImmediate);
  ending.abort();
  for (const error of await Promise.all(puts)) expect(error).toMatchObject({ name: 'AbortError', accepted: 2 });
  await queue.close();
});

test.each(types)('of %s, which signals end one after the other: of the last', async (_type, open) => {
  const reason = new Error('enough');
  for (const count of [2, 1]) {
    const queue = open();
    const ending = new AbortController();
    const put = queue.putMany(silentAfter(count), { signal: ending.signal }).catch((error: unknown) => error);
    while ((await queue.qsize()) < count) await new Promise(setImmediate);
    ending.abort(reason);
    expect(await put).toBe(reason);
    expect(reason).toMatchObject({ accepted: count });
    await queue.close();
  }
});
