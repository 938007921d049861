/** putMany over a source that is silent: what ends the call does not wait for it to speak. */
import { QueueClosedError, QueueDescriptor, QueueShutDownError, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { freshName, killActors, rayAddress } from './cluster';

const namespace = freshName('silent');
const client = new RayClient({ address: rayAddress(), namespace });
const names: string[] = [];
const open: Queue[] = [];

function attach(queueId: string): Queue<string> {
  const descriptor = QueueDescriptor.createRayQueue(queueId, { address: rayAddress(), namespace });
  const queue = resolveDescriptor<string>(descriptor);
  open.push(queue as Queue);
  return queue;
}

afterEach(async () => void (await Promise.all(open.splice(0).map((queue) => queue.close()))));
afterAll(async () => {
  await killActors(client, names);
  await client.close();
});

async function* twoThenSilence(): AsyncGenerator<string> {
  yield 'one';
  yield 'two';
  await new Promise(() => {});
}

test.each(['abort', 'close', 'shutdown', 'a refused put'])('%s ends it, and what had been put counts', async (end) => {
  const queueId = freshName('q');
  names.push(queueId);
  const [queue, other] = [attach(queueId), attach(queueId)];
  const controller = new AbortController();
  const reason = new Error('enough');
  const silence = end === 'a refused put' ? refusedThenSilence(other) : twoThenSilence();
  const putting = queue.putMany(silence, { signal: controller.signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Both are in, and the first handle has heard so: its answers come in order.
  expect([await other.get(), await other.get()]).toEqual(['one', 'two']);
  await queue.qsize();
  if (end === 'abort') controller.abort(reason);
  else if (end !== 'a refused put') await queue[end as 'close' | 'shutdown']();
  const error = await putting;
  if (end === 'abort') expect(error).toBe(reason);
  else expect(error).toBeInstanceOf(end === 'close' ? QueueClosedError : QueueShutDownError);
  expect(error).toMatchObject({ accepted: 2 });
});

describe.each([true, false])('attached before: %s', (attached) => {
  test.each([
    ['close', QueueClosedError],
    ['shutdown', QueueShutDownError],
  ] as const)('%s() in the turn of the call ends it', async (end, expected) => {
    const queueId = freshName('q');
    names.push(queueId);
    const queue = attach(queueId);
    if (attached) await queue.qsize();
    const silence = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    const putting = queue.putMany(silence).catch((error: unknown) => error);
    await queue[end]();
    expect(await putting).toBeInstanceOf(expected);
  });
});

/** The third put finds the queue shut down. */
async function* refusedThenSilence(other: Queue<string>): AsyncGenerator<string> {
  yield 'one';
  yield 'two';
  while ((await other.qsize()) > 0 || (await other.stats()).getTotal < 2) await new Promise(setImmediate);
  await other.shutdown();
  yield 'three';
  await new Promise(() => {});
}
