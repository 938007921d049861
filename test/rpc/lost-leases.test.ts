/** A connection that breaks takes the leases along: whoever works on their items is told, and does not wait for what only the queue knows. */
import { QueueConnectionError } from '../../lib';
import { consume } from '../../lib/work';
import type { Consumer } from '../../lib/work';
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
let consumer: Consumer | undefined;
afterEach(async () => {
  await consumer?.stop({ graceMs: 0 });
  await fixture.end();
});

test('handlers are told by their signal, and their places are free for what comes again', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  await fixture.client(direct).putMany(['first', 'second']);
  const begun: [item: unknown, deliveries: number][] = [];
  const told: unknown[] = [];
  consumer = consume(
    fixture.client(port),
    (item, { deliveries, signal }) => {
      begun.push([item, deliveries]);
      signal.addEventListener('abort', () => told.push(signal.reason));
      return deliveries > 1 || item === 'second' ? undefined : new Promise<void>(() => {});
    },
    { backoffMs: () => 1, onError: () => {} },
  );
  await until(() => begun.length === 1);
  proxy.cut();
  await until(() => told.length === 1);
  expect(told[0]).toBeInstanceOf(QueueConnectionError);
  await until(() => consumer!.stats().done === 2);
  expect(begun).toEqual(
    expect.arrayContaining([
      ['first', 1],
      ['first', 2],
      ['second', 1],
    ]),
  );
  expect(begun).toHaveLength(3);
  expect(consumer.stats()).toMatchObject({ active: 0, failed: 0 });
  expect(await backing.stats()).toMatchObject({ qsize: 0, leased: 0 });
});

test('what pauses is given up, and comes again from the queue', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  await fixture.client(direct).put('pauses');
  const deliveries: number[] = [];
  consumer = consume(
    fixture.client(port),
    (_item, job) => {
      deliveries.push(job.deliveries);
      if (job.deliveries === 1) throw new Error('again');
    },
    { backoffMs: (count) => (count === 1 ? 3_600_000 : 1), onError: () => {} },
  );
  await until(() => consumer!.stats().waitingRetry === 1);
  proxy.cut();
  await until(() => consumer!.stats().done === 1);
  expect(deliveries).toEqual([1, 3]);
  expect(consumer.stats().waitingRetry).toBe(0);
  expect(await backing.stats()).toMatchObject({ qsize: 0, leased: 0 });
});

test('a server that is stopped does not wait for leases of a connection that broke', async () => {
  const { port: direct, server } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put(1);
  await queue.lease();
  proxy.cut();
  const again = await queue.lease();
  await again.ack();
  const began = performance.now();
  await server.stop({ graceMs: 60_000 });
  expect(performance.now() - began).toBeLessThan(30_000);
});
