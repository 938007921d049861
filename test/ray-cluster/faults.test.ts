import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { History } from '../history/check-history.cjs';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import type { RayQueue } from '../../lib/transports/ray';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { seeded } from '../random';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';
import { CuttingProxy } from './cutting-proxy';

const namespace = freshName('faults');
const holder = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
const names: string[] = [];
const open: RayQueue<unknown>[] = [];

function queue<T>(queueId: string, address = rayAddress(), metadata: { lease_ms?: number } = {}): RayQueue<T> {
  const descriptor = QueueDescriptor.createRayQueue(queueId, { address, namespace });
  const made = resolveDescriptor(
    {
      ...descriptor.toJSON(),
      metadata: { ...descriptor.metadata, ...metadata },
    },
    PATIENT,
  ) as unknown as RayQueue<T>;
  open.push(made as RayQueue<unknown>);
  return made;
}

function freshQueueId(): string {
  const name = freshName('q');
  names.push(name);
  return name;
}

beforeAll(() => holder.listNamedActors());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  await killActors(holder, names.splice(0));
});
afterAll(() => holder.close());

test('3000 puts and gets of several clients through a proxy that cuts the connection 30 times: each item once', async () => {
  const chance = seeded('cut connections');
  const queueId = freshQueueId();
  const proxies = await Promise.all(Array.from({ length: 4 }, () => new CuttingProxy(rayAddress()).start()));
  const [first, second, third, fourth] = proxies.map((proxy) => queue<string>(queueId, proxy.address));
  await Promise.all([first, second, third, fourth].map((one) => one!.qsize()));
  const cuts = (): number => proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
  let done = false;
  // A session that was lost takes longer to begin than a connection lasts here: on a busy machine none would until the cuts end.
  const cutting = (async () => {
    while (!done && cuts() < 80) {
      await delay(20 + chance.below(200));
      const proxy = chance.pick(proxies);
      if (chance.below(4) > 0) {
        proxy.cut();
      } else {
        proxy.refuse(true);
        await delay(chance.below(300));
        proxy.refuse(false);
      }
    }
  })();
  const produce = async (to: RayQueue<string>, name: string): Promise<void> => {
    for (let at = 0; at < 1500; at += 3)
      await Promise.all([at, at + 1, at + 2].map((number) => to.put(`${name}${number}`)));
  };
  const got: string[] = [];
  const stop = new AbortController();
  const consume = async (from: RayQueue<string>): Promise<void> => {
    for (;;) {
      try {
        got.push(await from.get({ signal: stop.signal }));
      } catch (error) {
        if (error === stop.signal.reason) return;
        throw error;
      }
      if (got.length >= 3000) stop.abort();
    }
  };
  try {
    await Promise.all([
      produce(first!, 'a'),
      produce(second!, 'b'),
      consume(third!),
      consume(fourth!),
      consume(fourth!),
    ]);
  } finally {
    done = true;
    await cutting;
  }
  process.stdout.write(`cuts ${cuts()}\n`);
  expect(cuts()).toBeGreaterThanOrEqual(30);
  const history = new History();
  for (const producer of ['a', 'b']) history.ack(producer, 0, 1500);
  for (const item of got) history.got('-', item[0]!, Number(item.slice(1)), Number(item.slice(1)) + 1);
  expect(history.result().problems).toEqual([]);
  const stats = await first!.stats();
  expect(stats).toMatchObject({ qsize: 0, putTotal: 3000 });
  await Promise.all(open.splice(0).map((one) => one.close()));
  await Promise.all(proxies.map((proxy) => proxy.stop()));
}, 120_000);

test('items on lease of a consumer that is SIGKILLed come again within the lease time', async () => {
  const queueId = freshQueueId();
  const leaseMs = 3000;
  const survivor = queue<number>(queueId, rayAddress(), { lease_ms: leaseMs });
  await survivor.putMany([0, 1, 2, 3, 4]);
  const program = `
    const { QueueDescriptor, resolveDescriptor } = require('sage-queue');
    (async () => {
      const queue = resolveDescriptor(process.argv[1]);
      for (let left = 3; left > 0; left--) await queue.lease();
      process.stdout.write('leased');
      await queue.get({ timeoutMs: 60000 }); await queue.get(); await queue.get();
    })();`;
  const { descriptor } = survivor;
  const child = spawn(process.execPath, ['-e', program, JSON.stringify(descriptor)], {
    cwd: join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
  expect(said).toBe('leased');
  child.kill('SIGKILL');
  const started = performance.now();
  const items: number[] = [];
  while (items.length < 3) items.push(await survivor.get({ timeoutMs: leaseMs + 2000 }));
  expect(items.filter((item) => item < 3)).toHaveLength(items.filter((item) => item < 3).length);
  while (items.length < 5) {
    const item = await survivor.get({ timeoutMs: leaseMs + 2000 }).catch(() => undefined);
    if (item === undefined) break;
    items.push(item);
  }
  expect(performance.now() - started).toBeLessThan(leaseMs + 2000);
  // 3 and 4 may have gone to the gets that the child made last, which acknowledged them.
  expect(items.filter((item) => item < 3).sort()).toEqual([0, 1, 2]);
});

/** Processes of this cluster's per-client servers. */
function specificServers(): number[] {
  const cluster = process.env.RAY_GCS_ADDRESS;
  if (cluster === undefined) throw new Error('RAY_GCS_ADDRESS is not set: run with `npm run test:ray`.');
  const found: number[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let command = '';
    try {
      command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      continue; // It ended meanwhile.
    }
    if (command.includes('specific-server') && command.includes(cluster)) found.push(Number(pid));
  }
  return found;
}

test('the server-side process of a client is killed: a new session, nothing lost or doubled', async () => {
  const queueId = freshQueueId();
  const proxy = await new CuttingProxy(rayAddress()).start();
  await queue<number>(queueId).put(-1);
  const before = specificServers();
  const one = queue<number>(queueId, proxy.address);
  expect(await one.get()).toBe(-1);
  const mine = specificServers().filter((pid) => !before.includes(pid));
  expect(mine).toHaveLength(1);
  const held = await (one.put(-2), one.lease());
  const waiting = one.get();
  const puts = Array.from({ length: 500 }, (_, at) => one.put(at));
  process.kill(mine[0]!, 'SIGKILL');
  await Promise.all(puts);
  const got = [await waiting];
  while (got.length < 500) got.push(await one.get());
  expect(got).toEqual(Array.from({ length: 500 }, (_, at) => at));
  await held.ack();
  expect(await one.stats()).toMatchObject({ qsize: 0, leased: 0, putTotal: 502, getTotal: 502, redelivered: 0 });
  await one.close();
  await proxy.stop();
});

test('an outage longer than the patience: the error says that the outcome is unknown, and nothing put later is lost', async () => {
  const queueId = freshQueueId();
  const proxy = await new CuttingProxy(rayAddress()).start();
  const one = queue<number>(queueId, proxy.address);
  await one.put(0);
  proxy.refuse(true);
  const lost = [1, 2, 3].map((item) => one.put(item).then(() => item, (error: Error) => error)); // prettier-ignore
  const outcomes = await Promise.all(lost);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 'ERR_QUEUE_CONNECTION' });
  proxy.refuse(false);
  await one.putMany([10, 11, 12, 13, 14]);
  const items = await one.getMany(100);
  expect(items.filter((item) => item === 0 || item >= 10)).toEqual([0, 10, 11, 12, 13, 14]);
  await one.close();
  await proxy.stop();
}, 60_000);

test('the actor is killed: what waits fails with a typed error within a second, and what comes later has a new queue', async () => {
  const queueId = freshQueueId();
  const one = queue<number>(queueId);
  await one.put(1);
  await one.get();
  const waiting = one.get();
  void waiting.catch(() => {});
  await delay(50);
  const actor = await holder.getActor(queueId);
  const started = performance.now();
  await holder.kill(actor!);
  await expect(waiting).rejects.toMatchObject({ name: 'RayActorDiedError', code: 'ERR_QUEUE_CONNECTION' });
  expect(performance.now() - started).toBeLessThan(1000);
  await one.put(2);
  expect(await one.getMany(5)).toEqual([2]);
  // A handle that waited for nothing is told with its next call. That the actor is dead, and not only to be killed, another handle hears that waits.
  const other = queue<number>(queueId);
  await other.qsize();
  const dead = other.get().catch((error: Error) => error);
  await holder.kill((await holder.getActor(queueId))!);
  expect(await dead).toMatchObject({ name: 'RayActorDiedError' });
  await expect(one.qsize()).rejects.toMatchObject({ name: 'RayActorDiedError' });
  expect(await one.qsize()).toBe(0);
});

test('a get that waits does not stop puts, and close with a get waiting loses nothing', async () => {
  const queueId = freshQueueId();
  const one = queue<number>(queueId);
  const other = queue<number>(queueId);
  await one.qsize();
  for (let round = 0; round < 30; round++) {
    const leaving = queue<number>(queueId);
    const waiting = leaving.get().then(
      (item) => [item],
      () => [] as number[],
    );
    await leaving.qsize();
    const [, , got] = await Promise.all([other.put(round), leaving.close(), waiting]);
    if (got.length === 0) expect(await one.get({ timeoutMs: 5000 })).toBe(round);
    else expect(got).toEqual([round]);
  }
  expect(await one.stats()).toMatchObject({ qsize: 0, leased: 0, putTotal: 30, getTotal: 30 });
});

test('an abort in any phase of a get or a put loses and doubles nothing', async () => {
  const chance = seeded('aborts');
  const queueId = freshQueueId();
  const one = queue<number>(queueId);
  const other = queue<number>(queueId);
  const put = new Set<number>();
  const got: number[] = [];
  for (let at = 0; at < 150; at++) {
    const abortPut = new AbortController();
    const abortGet = new AbortController();
    const putting = one.put(at, { signal: abortPut.signal }).then(
      () => void put.add(at),
      (error) => expect(error).toBe(abortPut.signal.reason),
    );
    const getting = other.get({ signal: abortGet.signal }).then(
      (item) => void got.push(item),
      (error) => expect(error).toBe(abortGet.signal.reason),
    );
    if (chance.next() < 0.5) setTimeout(() => abortPut.abort(new Error('put')), chance.below(8));
    setTimeout(() => abortGet.abort(new Error('get')), chance.below(25));
    await Promise.all([putting, getting]);
  }
  for (;;) {
    const rest = await one.getMany(1000, { timeoutMs: 300 }).catch(() => []);
    if (rest.length === 0) break;
    got.push(...rest);
  }
  expect(got.sort((a, b) => a - b)).toEqual([...put].sort((a, b) => a - b));
});
