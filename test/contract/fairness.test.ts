/**
 * Whoever awaits one call after the other leaves the event loop its turns, also where each is answered at once: timers run, signals and
 * sockets are heard. Counted against the CPU time of the loop's thread, since a machine that is busy takes both alike.
 */
import { readFileSync } from 'node:fs';
import { QueueDescriptor, registerQueueImplementation, resolveDescriptor } from '../../lib';
import type { NativeQueue, Queue, QueueLike } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { StubQueue } from '../../lib/testing';

/** Somebody's own queue that always has an item and always has room, at once or in a microtask. */
class Endless implements QueueLike {
  put(): void {}
  get(): unknown {
    return 1;
  }
  empty(): boolean {
    return false;
  }
  qsize(): number {
    return 1;
  }
}
class EndlessPromises implements QueueLike {
  async put(): Promise<void> {}
  async get(): Promise<unknown> {
    return 1;
  }
  async empty(): Promise<boolean> {
    return false;
  }
  async qsize(): Promise<number> {
    return 1;
  }
}
registerQueueImplementation('endless', Endless);
registerQueueImplementation('endless_promises', EndlessPromises);

interface Bench {
  queue: Queue;
  /** Makes items, or room, without giving the loop a turn; undefined: there is enough of both. */
  fill?: () => void;
  drain?: () => void;
}

let made = 0;
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});
const name = (): string => `fairness.${process.pid}.${made++}`;
const isRemote = (type: string): boolean => type.startsWith('rpc');
/** More than a loop takes in its time: over the network a hundredth of what memory gives. */
const itemsFor = (type: string): number[] => Array.from({ length: isRemote(type) ? 5_000 : 400_000 }, () => 1);

const local = (): Queue => resolveDescriptor(QueueDescriptor.createLocalQueue(name())) as Queue;
function native(descriptor: QueueDescriptor): Bench {
  const queue = resolveDescriptor(descriptor) as NativeQueue;
  ends.push(async () => {
    queue.unlinkSync();
    queue.closeSync();
  });
  return {
    queue,
    fill: () => {
      try {
        queue.putManySync(Array<number>(1000).fill(1), { block: false });
      } catch {
        // Full.
      }
    },
    drain: () => void queue.getManySync(1000, { block: false }),
  };
}
async function served(backing: Queue): Promise<Bench> {
  const server = new QueueServer({ queues: { queue: backing } });
  const { port } = await server.start();
  const queue = resolveDescriptor(QueueDescriptor.createRpcQueue('127.0.0.1', port, 'queue')) as Queue;
  ends.unshift(
    () => queue.close(),
    () => server.stop({ graceMs: 0 }),
  );
  return { queue };
}
const custom = (queueType: string): Bench => ({
  queue: resolveDescriptor(new QueueDescriptor({ queueId: name(), queueType })) as Queue,
});

const types: Record<string, () => Bench | Promise<Bench>> = {
  local: () => ({ queue: local() }),
  stub: () => ({ queue: new StubQueue(new QueueDescriptor({ queueId: name(), queueType: 'stub' })) }),
  shm: () => native(QueueDescriptor.createShmQueue(undefined, name())),
  sage_queue: () => native(QueueDescriptor.createSageQueue(name())),
  'four methods': () => custom('endless'),
  'four methods that are async': () => custom('endless_promises'),
  'rpc over local': () => served(local()),
  'rpc over sage_queue': () => served(native(QueueDescriptor.createSageQueue(name(), { maxsize: 0 })).queue),
};

const ignore = (): void => {};
/** What is awaited over and over. */
const takes: Record<string, (queue: Queue) => Promise<unknown>> = {
  get: (queue) => queue.get(),
  'getMany(1)': (queue) => queue.getMany(1),
  'getMany(16)': (queue) => queue.getMany(16),
  'lease and ack': async (queue) => (await queue.lease()).ack(),
  'lease and release': async (queue) => (await queue.lease()).release(),
  'leaseMany(1) and ack': async (queue) => (await queue.leaseMany(1)).ack(),
};
const puts: Record<string, (queue: Queue) => Promise<unknown>> = {
  put: (queue) => queue.put(1),
  putMany: (queue) => queue.putMany([1]),
  'putMany of an iterable': (queue) => queue.putMany(new Set([1, 2])),
};
const questions: Record<string, (queue: Queue) => Promise<unknown>> = {
  empty: (queue) => queue.empty(),
  qsize: (queue) => queue.qsize(),
  full: (queue) => queue.full(),
  stats: (queue) => queue.stats(),
};
/** Of a queue that has nothing. */
const refused: Record<string, (queue: Queue) => Promise<unknown>> = {
  'get at once': (queue) => queue.get({ block: false }).catch(ignore),
  'getMany at once': (queue) => queue.getMany(2, { block: false }).catch(ignore),
  'lease at once': (queue) => queue.lease({ block: false }).catch(ignore),
  'leaseMany at once': (queue) => queue.leaseMany(2, { timeoutMs: 0 }).catch(ignore),
  join: (queue) => queue.join(),
};

/** Cold code, and the collector after what was put in, make the first turns long. */
const WARM_MS = 40;
const CPU_MS = 120;
/** A turn at least so often. */
const TURN_MS = 20;
/** The question how much time it was costs more than most calls do: it is asked after so long. */
const LOOK_MS = 0.5;
/** What the thread of the loop took, where the system says it: the collector's and the compiler's own threads are no part of a turn. */
const cpuMs = (): number => {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }
};

/** Awaits one call after the other for so long. @returns the time it took */
async function callFor(next: () => Promise<unknown>, ms: number): Promise<number> {
  const start = cpuMs();
  const until = performance.now() + 20_000;
  for (let look = 0; ;) {
    const now = performance.now();
    if (now >= look) {
      if (cpuMs() - start >= ms || now >= until) break;
      look = now + LOOK_MS;
    }
    if ((await next()) === 'enough') break;
  }
  return cpuMs() - start;
}

/** Awaits one call after the other for a while, and counts the turns of timers and of immediates. */
async function turnsOf(
  next: () => Promise<unknown>,
  warmMs: number,
): Promise<{ timers: number; immediates: number; due: number }> {
  await callFor(next, warmMs);
  let timers = 0;
  let immediates = 0;
  let running = true;
  const timer = setInterval(() => timers++, 1);
  const again = (): void => {
    immediates++;
    if (running) setImmediate(again);
  };
  setImmediate(again);
  try {
    const due = Math.floor((await callFor(next, CPU_MS)) / TURN_MS);
    return { timers, immediates, due };
  } finally {
    running = false;
    clearInterval(timer);
  }
}

describe.each(Object.entries(types))('%s', (type, make) => {
  const expectTurns = async (next: () => Promise<unknown>): Promise<void> => {
    // Over the network there are turns in every call, and few items.
    const { timers, immediates, due } = await turnsOf(next, isRemote(type) ? 0 : WARM_MS);
    if (!isRemote(type)) expect(due).toBeGreaterThan(0); // else there was too little to take
    expect(Math.min(timers, immediates)).toBeGreaterThanOrEqual(due);
  };
  const items = itemsFor(type);
  /** With items in it for as long as it takes. @param times so often as many for calls that take several */
  const full = async (times = 1): Promise<Bench> => {
    const bench = await make();
    if (bench.fill !== undefined) bench.fill();
    else if (!type.startsWith('four')) for (let left = times; left > 0; left--) await bench.queue.putMany(items);
    return bench;
  };

  test.each(Object.entries(takes))('%s', async (what, call) => {
    const each = what.includes('16') ? 16 : 1;
    const times = each > 1 && !isRemote(type) ? 4 : 1;
    const { queue, fill } = await full(times);
    let taken = 0;
    await expectTurns(() => {
      if (!what.includes('release')) taken += each;
      if (fill !== undefined && taken > 900) {
        fill();
        taken = 0;
      }
      return fill === undefined && taken > times * items.length - 100 ? Promise.resolve('enough') : call(queue);
    });
  });

  /** Fewer than a native queue has room for, and more than are answered in one turn. */
  const IN_A_ROW = 900;
  test.each(['ack', 'release'] as const)('%s of leases that were taken before', async (end) => {
    const { queue, fill } = await make();
    if (fill !== undefined) fill();
    else if (!type.startsWith('four')) await queue.putMany(items.slice(0, IN_A_ROW));
    const leases = [];
    while (leases.length < IN_A_ROW) leases.push(await queue.lease());
    let hasTurned = false;
    setImmediate(() => (hasTurned = true));
    for (const lease of leases) await lease[end]();
    expect(hasTurned).toBe(true);
  });

  test('the source of a putMany, which always has an item', async () => {
    const { queue } = await make();
    let hasTurned = false;
    let turnedBefore: boolean | undefined;
    const always = async function* (): AsyncGenerator<number> {
      setImmediate(() => (hasTurned = true));
      for (let item = 0; item < IN_A_ROW; item++) yield item;
      turnedBefore = hasTurned;
    };
    await queue.putMany(always());
    expect(turnedBefore).toBe(true);
  });

  test('the iterator', async () => {
    const { queue, fill } = await full();
    const iterator = queue[Symbol.asyncIterator]();
    let taken = 0;
    await expectTurns(() => {
      taken++;
      if (fill === undefined && taken > items.length - 100) return Promise.resolve('enough');
      if (taken % 900 === 0) fill?.();
      return iterator.next();
    });
    await iterator.return?.();
  });

  test('the readable stream', async () => {
    const { queue, fill } = await full();
    const stream = queue.readable();
    const iterator = stream[Symbol.asyncIterator]();
    let taken = 0;
    await expectTurns(() => {
      taken++;
      if (fill === undefined && taken > items.length - 100) return Promise.resolve('enough');
      if (taken % 800 === 0) fill?.();
      return iterator.next();
    });
    stream.destroy();
  });

  test.each(Object.entries(puts))('%s', async (_what, call) => {
    const { queue, drain } = await make();
    let put = 0;
    await expectTurns(() => {
      if (drain !== undefined && ++put % 400 === 0) drain();
      return call(queue);
    });
    drain?.();
  });

  test.each(Object.entries(questions))('%s', async (_what, call) => {
    const { queue } = await make();
    await expectTurns(() => call(queue));
  });

  if (type.startsWith('four')) return;
  test.each(Object.entries(refused))('%s', async (_what, call) => {
    const { queue } = await make();
    await expectTurns(() => call(queue));
  });
});
