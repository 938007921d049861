/** A connection that looks alive and carries nothing, from either side. */
import * as grpc from '@grpc/grpc-js';
import { QueueConnectionError } from '../../lib';
import type { Queue } from '../../lib';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const ANSWER_MS = 400;

test.each<[string, (queue: Queue) => Promise<unknown>]>([
  ['qsize', (queue) => queue.qsize()],
  ['empty', (queue) => queue.empty()],
  ['full', (queue) => queue.full()],
  ['stats', (queue) => queue.stats()],
  ['shutdown', (queue) => queue.shutdown()],
  ['put with block: false', (queue) => queue.put(1, { block: false })],
  ['get with block: false', (queue) => queue.get({ block: false })],
])('a server that is silent: %s ends within answerTimeoutMs', async (_, call) => {
  const { port: direct } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port, { answerTimeoutMs: ANSWER_MS });
  await queue.qsize();
  proxy.deaf = 'both';
  const started = performance.now();
  expect(await errorOf(call(queue))).toBeInstanceOf(QueueConnectionError);
  const took = performance.now() - started;
  expect(took).toBeGreaterThan(ANSWER_MS - 50);
  // A put asks once more what became of it, for a second at most.
  expect(took).toBeLessThan(ANSWER_MS + 2000);
});

test('a server that is silent: ack() of a lease ends within answerTimeoutMs', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port, { answerTimeoutMs: ANSWER_MS });
  await backing.put(1);
  const lease = await queue.lease();
  proxy.deaf = 'both';
  const started = performance.now();
  expect(await errorOf(lease.ack())).toBeInstanceOf(QueueConnectionError);
  expect(performance.now() - started).toBeLessThan(ANSWER_MS + 2000);
});

test('a stream that never says open ends after its time, and says why', async () => {
  const { port } = await fixture.serve();
  const started = performance.now();
  const status = await fixture.beginStream(port).status;
  expect(status.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  expect(status.details).toContain('no open frame came within');
  const took = performance.now() - started;
  expect(took).toBeGreaterThan(9000);
  expect(took).toBeLessThan(15_000);
});
