/** However a putMany into a Ray queue ends early, its error says how many items are in. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { until } from '../rpc/support/fixture';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods, Raised } from './fake-ray';

let ray: FakeRay;
let queue: Queue<number>;
let other: Queue<number>;

let methods: Methods;

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = (maxsize) => (methods = fakeQueueActor(maxsize));
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

/** More than are under way at a time. */
const many = Array.from({ length: 3000 }, (_, index) => index);

test.each<[string, object]>([
  ['that does not wait', { block: false }],
  ['whose time is over', { timeoutMs: 60 }],
])('there is room again behind what was refused: a putMany %s leaves no hole', async (_which, wait) => {
  const put = methods.sage_put!;
  const taken: number[] = [];
  let isFull = false;
  methods.sage_put = async (...request) => {
    if (isFull) {
      taken.push(...(await other.getMany(3)));
      await other.qsize(); // tells of the acknowledgements
    }
    const answer = await put(...request);
    isFull = true;
    return answer;
  };
  const error = (await queue.putMany(many, wait).catch((reason: unknown) => reason)) as { accepted: number };
  expect(error).toMatchObject({ code: 'ERR_QUEUE_FULL' });
  if ((await other.qsize()) > 0) taken.push(...(await other.getMany(5000)));
  expect(taken).toEqual(many.slice(0, error.accepted));
});

test("an actor of somebody else's that refuses one of them", async () => {
  const inner: unknown[] = [];
  const names = ['put', 'get', 'empty', 'qsize', 'put_nowait', 'get_nowait'];
  const answers: unknown[] = [Object.fromEntries(names.map((name) => [name, [false, ['item']]])), null];
  ray.actors.set('picky', {
    __ray_call__: () => answers.shift(),
    put_nowait: ([item]) => {
      if (item === 2) throw new Raised('builtins', 'ValueError', 'not this one');
      inner.push(item);
      return null;
    },
  });
  const picky = resolveDescriptor<number>(
    QueueDescriptor.createRayActorQueue('picky', 'picky', { address: ray.address }),
  ) as Queue<number>;
  await expect(picky.putMany([0, 1, 2, 3, 4])).rejects.toMatchObject({ accepted: 2 });
  expect(inner).toEqual([0, 1]);
  await picky.close();
});
