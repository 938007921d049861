import { once } from 'node:events';
import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { Fixture, until } from './support/fixture';
import { kill, Processes, said } from './support/processes';

const fixture = new Fixture();
const processes = new Processes();
afterEach(async () => {
  await processes.end();
  await fixture.end();
});

test('an item on lease to a killed process comes again, ahead of the others', async () => {
  const { port } = await fixture.serve();
  const queue = fixture.client(port);
  await queue.putMany(['first', 'second']);
  const child = processes.start('client.cjs', 'lease', String(port));
  expect(await said(child)).toBe('first');
  await kill(child);
  const again = await queue.lease({ timeoutMs: 2000 });
  await until(async () => (await queue.qsize()) >= 1);
  expect([again.item, again.deliveries].join()).toMatch(/^(first,2|second,1)$/);
  await again.release();
  expect(await queue.getMany(5)).toEqual(['first', 'second']);
});

test('a killed process that waited takes nothing with it', async () => {
  const { port, backing } = await fixture.serve();
  const child = processes.start('client.cjs', 'wait', String(port));
  await said(child);
  await until(async () => (await backing.stats()).waitingGetters === 1);
  await kill(child);
  await until(async () => (await backing.stats()).waitingGetters === 0);
  await backing.put('kept');
  expect(await fixture.client(port).get()).toBe('kept');
});

test.each(['put', 'putMany'])(
  'killed in mid-%s: all that was acknowledged is in the queue, in order, once',
  async (role) => {
    const next = seeded('killed-client').next;
    for (let round = 0; round < 5; round++) {
      const { port, backing } = await fixture.serve();
      const child = processes.start('client.cjs', role, String(port));
      let acknowledged = -1;
      child.on('message', (number: number) => (acknowledged = number));
      await once(child, 'message');
      await new Promise((resolve) => setTimeout(resolve, next() * 150));
      await kill(child);
      // What was on its way is in by the time the server has seen the end of the stream.
      let size = -1;
      await until(async () => {
        const before = size;
        size = await backing.qsize();
        return size === before;
      });
      const items = (await backing.getMany(1e6)) as number[];
      expect(items.length).toBeGreaterThan(acknowledged);
      expect(items.every((item, index) => item === index)).toBe(true);
    }
  },
  60_000,
);

test('getters killed in turn: what the queue counts as given, and what is left, is everything', async () => {
  const next = seeded('killed-client').next;
  const { port, backing } = await fixture.serve();
  const total = 20_000;
  await backing.putMany(Array.from({ length: total }, (_, index) => index));
  const told: number[] = [];
  for (let round = 0; round < 5; round++) {
    const child = processes.start('client.cjs', 'get', String(port));
    child.on('message', (number: number) => told.push(number));
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, next() * 150));
    await kill(child);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(async () => {
    const { qsize, getTotal } = await backing.stats();
    return qsize + getTotal === total;
  });
  const left = (await backing.getMany(1e6)) as number[];
  const history = new History();
  history.ack('items', 0, total);
  history.gotEach('-', 'items', told);
  history.gotEach('the rest', 'items', left);
  // Twice at most what a killed process had told and not yet confirmed, missing what it had confirmed and not yet told.
  history.allow('double', 5);
  history.allow('loss', 5 * 2);
  expect(history.result().problems).toEqual([]);
}, 60_000);

test('a handle without a waiting call, or unreferenced, does not keep its process alive', async () => {
  const { port } = await fixture.serve();
  for (const role of ['idle', 'unref']) {
    const child = processes.start('client.cjs', role, String(port));
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  }
}, 10_000);
