import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/**
 * Cuts the proxy's connections again and again until stopped, each time after progress of everybody who is not done: else a busy machine
 * would only ever connect, and who got nowhere eight times gives up.
 */
function cutting(proxy: { cut(): void }, next: () => number, progress: () => number[]): () => void {
  let timer: NodeJS.Timeout;
  let before: number[] = [];
  const again = (): void => {
    const now = progress();
    if (now.every((done, index) => done !== before[index])) {
      proxy.cut();
      before = now;
    }
    timer = setTimeout(again, 5 + next() * 60);
  };
  timer = setTimeout(again, 20);
  return () => clearTimeout(timer);
}

test('nothing is lost, doubled or reordered however often the connection breaks', async () => {
  const next = seeded('cut-connection').next;
  const { port: direct } = await fixture.serve({ maxsize: 200 });
  const { proxy, port } = await fixture.proxy(direct);
  const producers = 3;
  const each = 3000;
  const seen: number[][] = Array.from({ length: producers }, () => []);
  // NaN differs from itself: who is done holds nobody back.
  const stop = cutting(proxy, next, () => seen.map(({ length }) => (length === each ? NaN : length)));
  const consume = async (one: boolean): Promise<void> => {
    const queue = fixture.client<[number, number]>(port);
    for (;;) {
      const items = one ? [await queue.get()] : await queue.getMany(1 + Math.floor(next() * 50));
      for (const [producer, number] of items) {
        if (number < 0) return;
        seen[producer]!.push(number);
      }
    }
  };
  const produce = async (producer: number): Promise<void> => {
    const queue = fixture.client<[number, number]>(port);
    for (let number = 0; number < each;) {
      const batch = Math.min(1 + Math.floor(next() * 100), each - number);
      const items = Array.from({ length: batch }, (_, index): [number, number] => [producer, number + index]);
      if (next() < 0.5) await Promise.all(items.map((item) => queue.put(item)));
      else expect(await queue.putMany(items)).toBe(batch);
      number += batch;
    }
  };
  const consumer = consume(false);
  await Promise.all([0, 1, 2].map(produce));
  stop();
  const last = fixture.client<[number, number]>(direct);
  await last.put([0, -1]);
  await consumer;
  const history = new History();
  for (const [producer, numbers] of seen.entries()) {
    history.ack(String(producer), 0, each);
    history.gotEach('consumer', String(producer), numbers);
  }
  expect(history.result().problems).toEqual([]);
  expect(proxy.connections).toBeGreaterThan(10);
}, 60_000);

test('several consumers share the items, each exactly once, over breaking connections', async () => {
  const next = seeded('cut-connection').next;
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const total = 4000;
  await backing.putMany(Array.from({ length: total }, (_, index) => index));
  const seen: number[] = [];
  const stop = cutting(proxy, next, () => [seen.length]);
  const consume = async (): Promise<void> => {
    const queue = fixture.client<number>(port);
    while (seen.length < total) {
      try {
        if (next() < 0.5) seen.push(await queue.get({ timeoutMs: 30 + next() * 300 }));
        else seen.push(...(await queue.getMany(1 + Math.floor(next() * 20), { timeoutMs: 30 + next() * 300 })));
      } catch (error) {
        if (!['ERR_QUEUE_EMPTY', 'ERR_QUEUE_CONNECTION'].includes((error as { code: string }).code)) throw error;
      }
    }
  };
  await Promise.all([consume(), consume(), consume()]);
  stop();
  const history = new History();
  history.ack('items', 0, total);
  history.gotEach('-', 'items', seen);
  expect(history.result().problems).toEqual([]);
  expect(await backing.qsize()).toBe(0);
}, 60_000);
