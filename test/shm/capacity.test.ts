import { attach, describeQueue, errorOf, now, start, types } from './child';

describe.each(types)('%s', (type) => {
  test.each([1, 2, 7, 1000])('maxsize %i takes exactly so many, from several processes', async (maxsize) => {
    const descriptor = describeQueue(type, { maxsize, capacityBytes: 65536 });
    const queue = attach(descriptor);
    const putters = [0, 1].map(() =>
      start(
        `const queue = open();
        let accepted = 0;
        try { for (;;) { queue.putSync(accepted, { block: false }); accepted++; } }
        catch (error) { say([accepted, error.code]); }
        queue.closeSync();`,
        descriptor,
      ),
    );
    const outcomes = (await Promise.all(putters.map((putter) => putter.clean()))).flat() as [number, string][];
    expect(outcomes[0]![0] + outcomes[1]![0]).toBe(maxsize);
    expect(outcomes.map(([, code]) => code)).toEqual(['ERR_QUEUE_FULL', 'ERR_QUEUE_FULL']);
    expect([queue.qsizeSync(), await queue.full()]).toEqual([maxsize, true]);
    queue.getSync();
    expect(await queue.full()).toBe(false);
    queue.putSync('room for one');
    expect((await errorOf(() => queue.putSync('and no more', { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect(queue.getManySync(Infinity)).toHaveLength(maxsize);
    queue.closeSync();
  });

  test('out of bytes is full too, and an empty item costs a slot only', async () => {
    const queue = attach(describeQueue(type, { maxsize: 100, capacityBytes: 1024 }));
    for (let count = 0; count < 4; count++) queue.putSync(new Uint8Array(256));
    expect(await queue.full()).toBe(true);
    expect((await errorOf(() => queue.putSync(new Uint8Array(1), { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect(queue.getManySync(4)).toHaveLength(4);
    for (let count = 0; count < 100; count++) queue.putSync(new Uint8Array(0));
    expect((await errorOf(() => queue.putSync(new Uint8Array(0), { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect(queue.getManySync(200)).toHaveLength(100);
    queue.closeSync();
  });

  test('waits end with their timeout: sync and async, empty and full', async () => {
    const descriptor = describeQueue(type, { maxsize: 1 });
    const queue = attach(descriptor);
    const child = start(
      `const queue = open();
      const timed = async (call) => { const from = now(); try { await call(); } catch (error) { return [error.code, now() - from]; } };
      (async () => {
        for (const timeoutMs of [0, 1, 30, 150]) {
          for (const what of ['get', 'put']) {
            if (what === 'put') queue.putSync('full');
            const wait = { timeoutMs };
            const calls = what === 'get'
              ? { getSync: () => queue.getSync(wait), getManySync: () => queue.getManySync(4, wait), leaseSync: () => queue.leaseSync(wait),
                  get: () => queue.get(wait), getMany: () => queue.getMany(4, wait), lease: () => queue.lease(wait) }
              : { putSync: () => queue.putSync(1, wait), putManySync: () => queue.putManySync([1], wait),
                  put: () => queue.put(1, wait), putMany: () => queue.putMany([1], wait) };
            for (const [name, call] of Object.entries(calls)) {
              const tries = [];
              for (let count = 0; count < 5; count++) tries.push(await timed(call));
              say([timeoutMs, name, tries]);
            }
          }
          queue.getSync();
        }
        queue.closeSync();
      })();`,
      descriptor,
    );
    const rows = (await child.clean()) as [number, string, [string, number][]][];
    expect(rows).toHaveLength(40);
    for (const [timeoutMs, name, tries] of rows) {
      const code = name.startsWith('put') ? 'ERR_QUEUE_FULL' : 'ERR_QUEUE_EMPTY';
      expect([name, ...tries.map(([found]) => found)]).toEqual([name, code, code, code, code, code]);
      const took = tries.map(([, ms]) => ms);
      expect(Math.min(...took)).toBeGreaterThanOrEqual(timeoutMs - 1);
      // A busy machine only ever adds to a wait, and never to each of five in a row: what the package adds shows in the least.
      expect({ name, timeoutMs, late: Math.min(...took) > timeoutMs + 50 && took }).toEqual({ name, timeoutMs, late: false }); // prettier-ignore
    }
    queue.closeSync();
  });

  test('block: false fails at once', async () => {
    const queue = attach(describeQueue(type, { maxsize: 1 }));
    const from = now();
    expect((await errorOf(() => queue.get({ block: false, timeoutMs: 60_000 }))).code).toBe('ERR_QUEUE_EMPTY');
    expect((await errorOf(() => queue.getSync({ block: false, timeoutMs: 60_000 }))).code).toBe('ERR_QUEUE_EMPTY');
    queue.putSync(1);
    expect((await errorOf(() => queue.put(2, { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect((await errorOf(() => queue.putSync(2, { block: false }))).code).toBe('ERR_QUEUE_FULL');
    expect(now() - from).toBeLessThan(5000);
    queue.getSync();
    queue.closeSync();
  });

  test.each(['sync', 'async', 'iterator'])(
    'a consumer that waits first (%s) meets a producer that comes later',
    async (how) => {
      const descriptor = describeQueue(type);
      const consumer = start(
        `(async () => {
        const queue = open();
        say('waiting');
        if (given[0] === 'sync') say(queue.getSync());
        else if (given[0] === 'async') say(await queue.get());
        else for await (const item of queue) { say(item); break; }
        queue.closeSync();
      })();`,
        descriptor,
        [how],
      );
      expect(await consumer.next()).toBe('waiting');
      const producer = start(
        `const queue = open();
      (async () => {
        while ((await queue.stats()).waitingGetters === 0) await new Promise(setImmediate);
        queue.putSync({ late: true }); queue.closeSync();
      })();`,
        descriptor,
      );
      expect(await consumer.clean()).toEqual([{ late: true }]);
      await producer.clean();
    },
  );

  test.each(['sync', 'async'])('a producer that waits for room (%s) meets a consumer that comes later', async (how) => {
    const descriptor = describeQueue(type, { maxsize: 1 });
    const producer = start(
      `(async () => {
        const queue = open();
        queue.putSync(1);
        say('waiting');
        if (given[0] === 'sync') queue.putSync(2); else await queue.put(2);
        queue.closeSync();
      })();`,
      descriptor,
      [how],
    );
    expect(await producer.next()).toBe('waiting');
    const queue = attach<number>(descriptor);
    while ((await queue.stats()).waitingPutters === 0) await new Promise(setImmediate);
    expect([queue.getSync(), queue.getSync()]).toEqual([1, 2]);
    await producer.clean();
    queue.closeSync();
  });
});
