/** The actor of a caller's replies ends with the session of its caller: what was under way hears of it, and later calls get another one. */
import { QueueConnectionError, QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { caller, serve } from '../../lib/work';
import { until } from '../work/queues';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay } from './fake-ray';

let ray: FakeRay;
let queue: Queue;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  ray = await new FakeRay().start();
  ray.create = fakeQueueActor;
  queue = resolveDescriptor(QueueDescriptor.createRayQueue('requests', { address: ray.address }), {
    answerTimeoutMs: 2000,
  });
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await queue.close();
  await ray.stop();
});

const replyActors = (): string[] => [...ray.actors.keys()].filter((name) => name.startsWith('requests.reply.'));

test('a call under way is told that its outcome is unknown, the next one is answered', async () => {
  let answer = (): void => {};
  const errors: unknown[] = [];
  const server = serve<string, string>(
    queue,
    async (request) => {
      if (request === 'slow') await new Promise<void>((resolve) => (answer = resolve));
      return request;
    },
    { concurrency: 2, onError: (error) => errors.push(error) },
  );
  const asking = caller<string, string>(queue);
  ends.push(
    () => asking.close(),
    () => server.stop(),
  );
  expect(await asking.call('first')).toBe('first');
  const slow = asking.call('slow').catch((error: unknown) => error);
  await until('it is with the server', () => server.stats().active === 1);
  const [lost] = replyActors();
  ray.kill(lost!);
  const error = await slow;
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error).toMatchObject({ outcome: 'unknown' });
  expect(await asking.call('next')).toBe('next');
  // Nobody reads its reply any more: the server has nothing to report.
  answer();
  await until('all are done', () => server.stats().done === 3);
  expect(errors).toEqual([]);
  expect(replyActors()).toHaveLength(1);
  expect(replyActors()).not.toContain(lost);
});
