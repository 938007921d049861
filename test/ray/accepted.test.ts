/** However a putMany into a Ray queue ends early, its error says how many items are in. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { until } from '../rpc/support/fixture';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay } from './fake-ray';

let ray: FakeRay;
let queue: Queue<number>;
let other: Queue<number>;

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
  const descriptor = QueueDescriptor.createRayQueue('accepted', { address: ray.address, maxsize: 3 });
  queue = resolveDescriptor<number>(descriptor);
  await queue.qsize();
  other = resolveDescriptor<number>(descriptor);
});
afterEach(async () => {
  await Promise.all([queue.close(), other.close()]);
  await ray.stop();
});

const enough = Object.assign(new Error('enough'), { code: 'ABORT' });

test.each<[string, string, (controller: AbortController) => unknown]>([
  ['close()', 'ERR_QUEUE_CLOSED', () => queue.close()],
  ['abort', 'ABORT', (controller) => controller.abort(enough)],
])('ended by %s', async (_how, code, end) => {
  const controller = new AbortController();
  const error = queue.putMany([1, 2, 3, 4, 5], { signal: controller.signal }).catch((reason: unknown) => reason);
  await until(async () => (await other.qsize()) === 3);
  await end(controller);
  expect(await error).toMatchObject({ code, accepted: 3 });
  expect(await other.getMany(5)).toEqual([1, 2, 3]);
});

test.each([{ timeoutMs: 100 }, { block: false }])('ended by %p', async (wait) => {
  await expect(queue.putMany([1, 2, 3, 4, 5], wait)).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL', accepted: 3 });
  expect(await other.getMany(5)).toEqual([1, 2, 3]);
});

test('a source that throws', async () => {
  const source = function* (): Generator<number> {
    yield 1;
    throw enough;
  };
  await expect(queue.putMany(source())).rejects.toMatchObject({ code: 'ABORT', accepted: 1 });
});
