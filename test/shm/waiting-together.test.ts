import type { NativeQueue } from '../../lib';
import { attach, describeQueue, errorOf, run, start, types, until } from './child';

/** Whether a call has settled, one way or the other. */
function watched<T>(call: Promise<T>): { readonly settled: boolean; readonly call: Promise<T> } {
  const state = { settled: false, call };
  const settle = (): void => {
    state.settled = true;
  };
  call.then(settle, settle);
  return state;
}

describe.each(types)('%s', (type) => {
  test('a call that waits is served after another call of its handle has blocked the thread', async () => {
    const descriptor = describeQueue(type, { maxsize: 1 });
    const queue = attach<string>(descriptor);
    const blocked: Record<string, (queue: NativeQueue<string>) => unknown> = {
      getSync: () => queue.getSync({ timeoutMs: 5 }),
      getManySync: () => queue.getManySync(2, { timeoutMs: 5 }),
      leaseSync: () => queue.leaseSync({ timeoutMs: 5 }),
    };
    for (const call of Object.values(blocked)) {
      const waiting = queue.get();
      expect((await errorOf(() => call(queue))).code).toBe('ERR_QUEUE_EMPTY');
      await run(`const queue = open(); queue.putSync('hello'); queue.closeSync();`, descriptor);
      expect(await waiting).toBe('hello');
    }
    queue.putSync('first');
    const waiting = queue.put('second');
    expect((await errorOf(() => queue.putSync('third', { timeoutMs: 5 }))).code).toBe('ERR_QUEUE_FULL');
    expect((await errorOf(() => queue.putManySync(['third'], { timeoutMs: 5 }))).code).toBe('ERR_QUEUE_FULL');
    await run(`const queue = open(); queue.getSync(); queue.closeSync();`, descriptor);
    await waiting;
    expect(queue.getSync()).toBe('second');
    queue.closeSync();
  });

  test('a put that gives up lets the next one in where that one fits', async () => {
    const queue = attach<Buffer>(describeQueue(type, { maxsize: 100, capacityBytes: 4096 }));
    queue.putSync(Buffer.alloc(3000));
    const controller = new AbortController();
    const ways: Record<string, { timeoutMs?: number; signal?: AbortSignal }> = {
      timeout: { timeoutMs: 10 },
      abort: { signal: controller.signal },
    };
    for (const options of Object.values(ways)) {
      const large = errorOf(() => queue.put(Buffer.alloc(4000), options));
      const small = watched(queue.put(Buffer.alloc(10)));
      expect(small.settled).toBe(false);
      controller.abort(new Error('enough'));
      await large;
      await small.call;
    }
    expect(queue.qsizeSync()).toBe(3);
    queue.unlinkSync();
    queue.closeSync();
  });

  test('a close ends every waiting put, and none of them goes in over it', async () => {
    const descriptor = describeQueue(type, { maxsize: 100, capacityBytes: 4096 });
    const [keeper, queue] = [attach<Buffer>(descriptor), attach<Buffer>(descriptor)];
    keeper.putSync(Buffer.alloc(3000));
    const calls = [4000, 10, 10].map((bytes) => errorOf(() => queue.put(Buffer.alloc(bytes))));
    queue.closeSync();
    for (const call of calls) expect((await call).code).toBe('ERR_QUEUE_CLOSED');
    expect(keeper.qsizeSync()).toBe(1);
    keeper.unlinkSync();
    keeper.closeSync();
  });

  test('who waits for what it cannot have does not wake itself, nor another that cannot have it either', async () => {
    const descriptor = describeQueue(type, { capacityBytes: 65536 });
    const queue = attach<Buffer>(descriptor);
    queue.putSync(Buffer.alloc(10));
    queue.putSync(Buffer.alloc(40_000));
    const waiter = `
      const queue = open();
      const waiting = queue.put(Buffer.alloc(40000));
      say('waits');
      process.stdin.once('data', async () => {
        const before = process.cpuUsage();
        setTimeout(() => {
          const { user, system } = process.cpuUsage(before);
          say((user + system) / 1000);
          queue.close(); waiting.catch(() => process.exit());
        }, 500);
      });`;
    const waiters = [start(waiter, descriptor), start(waiter, descriptor)];
    for (const child of waiters) await child.next();
    await until('both sleep', async () => (await queue.stats()).waitingPutters === 2);
    queue.getSync(); // rings one of them: 10 bytes are of no use to it, or to the other
    for (const child of waiters) child.tell('measure');
    for (const child of waiters) {
      expect(await child.next()).toBeLessThan(150); // of 500 ms
      await child.clean();
    }
    queue.unlinkSync();
    queue.closeSync();
  });

  test('room that is of no use to the put that is woken goes to one that it is of use to', async () => {
    const descriptor = describeQueue(type, { capacityBytes: 4096 });
    const queue = attach<Buffer>(descriptor);
    queue.putSync(Buffer.alloc(16));
    queue.putSync(Buffer.alloc(4080));
    // Awaited, not blocked: a blocked call would look by itself after 100 ms.
    const put = `const queue = open(); queue.put(Buffer.alloc(given[0])).then(() => { say('in'); queue.closeSync(); }); say('here');`;
    const large = start(put, descriptor, [4000]);
    await large.next();
    await until('the large one sleeps', async () => (await queue.stats()).waitingPutters === 1);
    const small = start(put, descriptor, [16]);
    await small.next();
    await until('both sleep', async () => (await queue.stats()).waitingPutters === 2);
    queue.getSync();
    expect(await small.next()).toBe('in');
    await small.clean();
    await large.kill();
    queue.unlinkSync();
    queue.closeSync();
  });
});
