/** Waiting puts of one Ray handle go in in the order in which they were made, a putMany as one of them. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { until } from '../rpc/support/fixture';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay } from './fake-ray';

let ray: FakeRay;
let queue: Queue<number>;

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
  queue = resolveDescriptor<number>(QueueDescriptor.createRayQueue('in-order', { address: ray.address }));
});
afterEach(async () => {
  await queue.close();
  await ray.stop();
});

const forms: Record<string, (items: number[]) => Iterable<number> | AsyncIterable<number>> = {
  'an array': (items) => items,
  'an iterable': (items) => new Set(items),
  'a source': async function* (items) {
    yield* items;
  },
};
/** More than are sent at a time. */
const MANY = 2500;

describe.each(['attached', 'not attached yet'])('%s', (state) => {
  test.each(Object.entries(forms))('putMany of %s between puts', async (_form, form) => {
    if (state === 'attached') await queue.qsize();
    const many = Array.from({ length: MANY }, (_, index) => index + 1);
    const putting = [queue.put(0), queue.putMany(form(many)), queue.put(MANY + 1), queue.putMany(form([MANY + 2]))];
    expect(await Promise.all(putting)).toEqual([undefined, MANY, undefined, 1]);
    const items: number[] = [];
    while (items.length < MANY + 3) items.push(...(await queue.getMany(5000, { timeoutMs: 10_000 })));
    expect(items).toEqual([0, ...many, MANY + 1, MANY + 2]);
  });
});

test('a source that is silent holds nobody up', async () => {
  let speak!: () => void;
  const spoken = new Promise<void>((resolve) => (speak = resolve));
  const slowly = async function* (): AsyncGenerator<number> {
    yield 1;
    await spoken;
    yield 3;
  };
  const many = queue.putMany(slowly());
  await until(async () => (await queue.qsize()) === 1);
  await queue.put(2);
  speak();
  expect(await many).toBe(2);
  expect(await queue.getMany(3)).toEqual([1, 2, 3]);
});
