/** Loops and streams over a remote queue read ahead; what they have not shown is still the queue's. */
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { History } from '../history/check-history.cjs';
import { getSageQueue } from '../../lib';
import type { Queue, QueueLike } from '../../lib';
import type { CuttingProxy } from './support/proxy';
import { seeded } from '../random';
import { Fixture, until } from './support/fixture';
import { kill, Processes, said } from './support/processes';

const fixture = new Fixture();
const processes = new Processes();
afterEach(async () => {
  await processes.end();
  await fixture.end();
});

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function readFrom(queue: Queue<number>, how: 'for await' | 'readable()', count: number): Promise<number[]> {
  const seen: number[] = [];
  const source: AsyncIterable<number> = how === 'for await' ? queue : (queue.readable() as AsyncIterable<number>);
  for await (const item of source) if (seen.push(item) === count) break;
  return seen;
}

describe('50 ms away', () => {
  const distant = async (options = {}): Promise<{ queue: Queue<number>; backing: Queue; proxy: CuttingProxy }> => {
    const { port: direct, backing } = await fixture.serve();
    const { proxy, port } = await fixture.proxy(direct);
    const queue = fixture.client<number>(port, options);
    await queue.qsize();
    proxy.delayMs = 25;
    return { queue, backing, proxy };
  };

  test.each(['for await', 'readable()'] as const)(
    '%s moves 2000 items a second and more',
    async (how) => {
      const { queue, backing } = await distant();
      await backing.putMany(range(10_000));
      const started = performance.now();
      expect(await readFrom(queue, how, 10_000)).toEqual(range(10_000));
      const rate = 10_000 / ((performance.now() - started) / 1000);
      console.log(`${how}: ${Math.round(rate)} items a second`);
      expect(rate).toBeGreaterThan(2000);
    },
    30_000,
  );

  // Counted, not timed: a machine with something else to do makes two of one.
  test('a serial get is one round trip', async () => {
    const { queue, backing, proxy } = await distant();
    await backing.putMany(range(40));
    const took: number[] = [];
    for (let number = 0; number < 20; number++) {
      const before = proxy.roundTrips;
      expect(await queue.get()).toBe(number);
      took.push(proxy.roundTrips - before);
    }
    took.sort((a, b) => a - b);
    expect(took[10]).toBe(1);
  }, 30_000);

  test('prefetch: 0 reads nothing ahead', async () => {
    const { queue, backing } = await distant({ prefetch: 0 });
    await backing.putMany(range(10));
    for await (const item of queue) {
      await until(async () => (await backing.stats()).leased === 0);
      expect(await backing.qsize()).toBe(9 - item);
      if (item === 4) break;
    }
  }, 30_000);
});

describe.each(['local', 'sage_queue'])('behind it a %s', (type) => {
  let made = 0;
  async function serve(): Promise<{ port: number; backing: Queue<number> }> {
    if (type === 'local') return (await fixture.serve()) as { port: number; backing: Queue<number> };
    const backing = getSageQueue<number>(`ahead-${process.pid}-${made++}`, { maxsize: 0 });
    fixture.later(() => backing.close());
    const { port } = await fixture.serve({ queues: { q: backing as QueueLike } });
    return { port, backing };
  }

  test('a loop that is left gives the rest back, in order, as if it had not been delivered', async () => {
    const { port, backing } = await serve();
    await backing.putMany(range(100));
    const queue = fixture.client<number>(port);
    expect(await readFrom(queue, 'for await', 10)).toEqual(range(10));
    const lease = await queue.lease();
    expect(lease.item).toBe(10);
    expect(lease.deliveries).toBe(1);
    await lease.release();
    expect(await readFrom(queue, 'readable()', 10)).toEqual(range(20).slice(10));
    expect(await queue.qsize()).toBe(80);
    await queue.close();
    expect(await backing.getMany(100)).toEqual(range(100).slice(20));
  });

  test('gets, leases and batches beside a loop take what was read ahead first', async () => {
    const { port, backing } = await serve();
    await backing.putMany(range(50));
    const queue = fixture.client<number>(port);
    const loop = queue[Symbol.asyncIterator]();
    expect((await loop.next()).value).toBe(0);
    expect(await queue.get()).toBe(1);
    expect(await queue.getMany(3)).toEqual([2, 3, 4]);
    expect((await loop.next()).value).toBe(5);
    const lease = await queue.lease();
    expect(lease.item).toBe(6);
    await lease.ack();
    expect(
      (await Promise.all([loop.next(), queue.get()])).map((one) => (typeof one === 'number' ? one : one.value)),
    ).toEqual([7, 8]);
    await loop.return!();
    expect(await queue.getMany(50)).toEqual(range(50).slice(9));
  });

  test('others that wait get what a slow loop holds: clients of the server, and local processes', async () => {
    const { port, backing } = await serve();
    await backing.putMany(range(20));
    const slow = fixture.client<number>(port);
    const loop = slow[Symbol.asyncIterator]();
    await loop.next();
    await until(async () => (await backing.qsize()) < 10);
    const other = fixture.client<number>(port);
    const taken: number[] = [];
    while (taken.length < 10) taken.push(await other.get({ timeoutMs: 5000 }));
    await loop.next();
    await loop.next();
    while (taken.length < 17) taken.push(await backing.get({ timeoutMs: 5000 }));
    expect(new Set(taken).size).toBe(17);
    await loop.return!();
  });

  test.each(['stuck', 'leaving'])('what a killed process had read ahead comes again at once (%s)', async (role) => {
    const { port, backing } = await serve();
    await backing.putMany(range(1000));
    const child = processes.start('client.cjs', `loop-${role}`, String(port));
    const last = await said<number>(child);
    await kill(child);
    const killed = performance.now();
    const other = fixture.client<number>(port);
    const seen: number[] = [];
    while (seen.length < 999 - last) seen.push(...(await other.getMany(1000, { timeoutMs: 2000 })));
    expect(performance.now() - killed).toBeLessThan(2000);
    expect(seen.slice(-(999 - last))).toEqual(range(1000).slice(last + 1));
  });
});

test('kills in mid-loop: nothing is lost, and nothing comes twice but what the dead had in hand', async () => {
  const next = seeded('read-ahead').next;
  const { port, backing } = await fixture.serve();
  const total = 20_000;
  await backing.putMany(range(total));
  const told: number[][] = [];
  const rounds = 4;
  for (let round = 0; round < rounds; round++) {
    const child: ChildProcess = processes.start('client.cjs', 'loop', String(port));
    const byThis: number[] = [];
    told.push(byThis);
    child.on('message', (number: number) => byThis.push(number));
    await once(child, 'message');
    await new Promise((resolve) => setTimeout(resolve, next() * 100));
    await kill(child);
  }
  await until(async () => {
    const { qsize, getTotal, leased } = await backing.stats();
    return leased === 0 && qsize + getTotal === total;
  }, 10_000);
  const left = (await backing.getMany(total)) as number[];
  // What the dead had told and not yet confirmed comes again: the last of what each told.
  let twice = 0;
  for (const [round, byThis] of told.entries()) {
    const later = new Set([...told.slice(round + 1).flat(), ...left]);
    const again = byThis.filter((number) => later.has(number));
    expect(again).toEqual(again.length === 0 ? [] : byThis.slice(-again.length));
    twice += again.length;
  }
  const history = new History();
  history.ack('items', 0, total);
  for (const byThis of told) history.gotEach('-', 'items', byThis);
  history.gotEach('the rest', 'items', left);
  history.allow('double', twice);
  history.allow('loss', rounds); // confirmed, and the process killed before it told: one in hand each
  const { problems, inHand } = history.result();
  console.log(`${told.flat().length} told, ${left.length} left, ${twice} twice, ${inHand} not told by the dead`);
  expect(problems).toEqual([]);
}, 60_000);

test.each(['for await', 'readable()'] as const)(
  '%s over connections that break: each item once, in order',
  async (how) => {
    const next = seeded('read-ahead').next;
    const { port: direct, backing } = await fixture.serve();
    const { proxy, port } = await fixture.proxy(direct);
    const total = 4000;
    const queue = fixture.client<number>(port);
    let cuts = 0;
    let seen: number[] = [];
    let before = -1;
    const cutter = setInterval(
      () => {
        // Each costs a connection: a busy machine makes few in a second.
        if (seen.length === before || cuts === 50) return;
        before = seen.length;
        cuts++;
        proxy.cut();
      },
      5 + next() * 20,
    );
    const producing = (async () => {
      for (let from = 0; from < total; from += 100) {
        await backing.putMany(range(total).slice(from, from + 100));
        await new Promise((resolve) => setTimeout(resolve, next() * 10));
      }
    })();
    const source = how === 'for await' ? queue : (queue.readable() as AsyncIterable<number>);
    for await (const item of source) {
      seen = [...seen, item];
      if (next() < 0.02) await new Promise((resolve) => setTimeout(resolve, next() * 20));
      if (seen.length === total) break;
    }
    clearInterval(cutter);
    await producing;
    expect(seen).toEqual(range(total));
    expect(cuts).toBeGreaterThan(3);
    await queue.close();
    expect(await backing.qsize()).toBe(0);
  },
  60_000,
);
