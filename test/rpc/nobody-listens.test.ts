/**
 * What a program has of its items is told to the server, also over another connection than they came on. Where nobody listens any more there is
 * nobody to tell: neither close() nor the process waits for that.
 */
import { once } from 'node:events';
import type { Queue } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';
import type { CuttingProxy } from './support/proxy';
import { Processes, said } from './support/processes';

const fixture = new Fixture();
const processes = new Processes();
afterEach(async () => {
  await processes.end();
  await fixture.end();
});

/** Less than the two seconds after which close() waits for nobody, and much more than an attempt to connect takes. */
const SOON_MS = 1900;

async function start(): Promise<{ backing: Queue; proxy: CuttingProxy; port: number }> {
  const { port: direct, backing } = await fixture.serve();
  return { backing, ...(await fixture.proxy(direct)) };
}

/** Somebody waits for an item; it gets one, and its word that it has it does not arrive. */
async function deliverUnconfirmed(backing: Queue, proxy: CuttingProxy): Promise<void> {
  await until(async () => (await backing.stats()).waitingGetters === 1);
  proxy.deaf = 'toServer';
  await backing.put('item');
}

/** A handle that has an item, and whose word of that did not arrive. */
async function withUnconfirmed(): Promise<{ queue: Queue; backing: Queue; proxy: CuttingProxy }> {
  const { backing, proxy, port } = await start();
  const queue = fixture.client(port);
  const item = queue.get();
  await deliverUnconfirmed(backing, proxy);
  expect(await item).toBe('item');
  return { queue, backing, proxy };
}

test('close() of a handle whose server is gone does not wait', async () => {
  const { queue, proxy } = await withUnconfirmed();
  await proxy.stop();
  const started = performance.now();
  await queue.close();
  expect(performance.now() - started).toBeLessThan(SOON_MS);
});

test('… nor where that is known before', async () => {
  const { queue, proxy } = await withUnconfirmed();
  await proxy.stop();
  await until(async () => (await errorOf(queue.get({ block: false }))).message.includes('nothing listens'), 20_000);
  const started = performance.now();
  await queue.close();
  expect(performance.now() - started).toBeLessThan(SOON_MS);
});

test('close() of a handle whose connection broke tells the server of the item that it has', async () => {
  const { queue, backing, proxy } = await withUnconfirmed();
  proxy.cut();
  proxy.deaf = 'none';
  await queue.close();
  expect(await backing.stats()).toMatchObject({ qsize: 0, leased: 0, getTotal: 1, redelivered: 0 });
});

test('a process whose server is gone ends', async () => {
  const { backing, proxy, port } = await start();
  const child = processes.start('client.cjs', 'take', String(port));
  const item = said(child);
  await deliverUnconfirmed(backing, proxy);
  expect(await item).toBe('item');
  const exit = once(child, 'exit');
  await proxy.stop();
  expect(await exit).toEqual([0, null]);
}, 20_000);
