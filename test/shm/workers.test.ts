import { attach, describeQueue, drain, start, types, until } from './child';

const ways = {
  'async get': 'const pending = queue.get(); pending.catch(() => {}); ready();',
  'async get, eight of them': 'for (let count = 0; count < 8; count++) queue.get().catch(() => {}); ready();',
  'async put to a full queue': 'queue.put(9).catch(() => {}); ready();',
  getSync: 'ready(); queue.getSync();',
  'putSync to a full queue': 'ready(); queue.putSync(9);',
  leaseSync: 'ready(); queue.leaseSync();',
  'the middle of puts': 'ready(); for (;;) queue.putManySync([1, 2, 3]);',
  'the middle of gets': 'ready(); for (;;) queue.getSync();',
  'an iterator': '(async () => { for await (const item of queue) {} })(); ready();',
};

describe.each(types)('%s', (type) => {
  describe.each(Object.entries(ways))('a worker thread in %s', (name, code) => {
    const full = name.includes('full');
    // What is in the middle of puts needs somebody to make room.
    const peer = `
      const { Worker } = require('node:worker_threads');
      const queue = open();
      ${full ? "queue.putSync('fills it');" : ''}
      const inWorker = "const sq = require('sage-queue'); const { parentPort, workerData } = require('node:worker_threads');" +
        "const queue = sq.resolveDescriptor(workerData[0]); const ready = () => parentPort.postMessage('ready');" + given[0];
      const worker = new Worker(inWorker, { eval: true, workerData: [descriptor] });
      ${name.includes('middle of puts') ? 'const timer = setInterval(() => { while (!queue.emptySync()) queue.getManySync(64, { timeoutMs: 0 }); }, 1);' : ''}
      ${name.includes('middle of gets') ? 'const timer = setInterval(() => { try { queue.putSync(1, { block: false }); } catch {} }, 1);' : ''}
      const asleep = async () => {
        if (${name.includes('middle')}) return new Promise((resolve) => setTimeout(resolve, 20));
        for (;;) { const { waitingGetters, waitingPutters } = await queue.stats(); if (waitingGetters + waitingPutters > 0) return; await new Promise(setImmediate); }
      };`;
    const options = { maxsize: full ? 1 : 50 };

    test('terminate() ends it within a second, and its process goes on', async () => {
      const descriptor = describeQueue(type, options);
      const child = start(
        `${peer}
        worker.once('message', async () => {
          await asleep();
          const from = now();
          const code = await worker.terminate();
          say([code, now() - from]);
          ${name.includes('middle') ? 'clearInterval(timer);' : ''}
          while (!queue.emptySync()) queue.getManySync(64, { timeoutMs: 0 });
          queue.putSync('after'); queue.getSync();
          const { attached, waitingGetters, waitingPutters } = await queue.stats();
          say([attached.length, waitingGetters, waitingPutters]);
          queue.closeSync();
        });`,
        descriptor,
        [code],
      );
      const [[exit, tookMs], after] = await child.clean();
      expect([exit, after]).toEqual([1, [1, 0, 0]]);
      expect(tookMs).toBeLessThan(1000);
    });

    test('process.exit() of the whole process ends cleanly within a second', async () => {
      const descriptor = describeQueue(type, options);
      const keeper = attach(descriptor);
      const child = start(
        `${peer}
        worker.once('message', async () => { await asleep(); say(now()); process.on('exit', () => {}); process.exit(0); });`,
        descriptor,
        [code],
      );
      const from = await child.next();
      await child.clean();
      expect(Number(process.hrtime.bigint()) / 1e6 - from).toBeLessThan(1000);
      expect((await keeper.stats()).attached).toHaveLength(1);
      drain(keeper);
      keeper.closeSync();
    });
  });

  test("a worker's end gives back its leases and claims", async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    keeper.putManySync(['leased', 'next']);
    const [outcome] = await start(
      `
      const { Worker } = require('node:worker_threads');
      const inWorker = "const sq = require('sage-queue'); const { parentPort, workerData } = require('node:worker_threads');" +
        "const queue = sq.resolveDescriptor(workerData); const lease = queue.leaseSync();" +
        "if (queue.claimSync) { const claim = queue.claimSync(100); } parentPort.postMessage(lease.item); setInterval(() => {}, 1000);";
      (async () => {
        const seen = [];
        for (const end of ['terminate', 'terminate']) {
          const worker = new Worker(inWorker, { eval: true, workerData: descriptor });
          const item = await new Promise((resolve) => worker.once('message', resolve));
          await worker[end]();
          seen.push(item);
        }
        const queue = open();
        seen.push(queue.leaseSync().deliveries, queue.qsizeSync());
        say(seen);
        queue.closeSync();
      })();`,
      descriptor,
    ).clean();
    expect(outcome).toEqual(['leased', 'leased', 3, 1]);
    keeper.putSync('last');
    expect(drain(keeper)).toEqual(['leased', 'next', 'last']);
    expect(await keeper.stats()).toMatchObject({ usedBytes: 0 });
    keeper.closeSync();
  });

  test('threads of one process meet on one queue, each with a handle of its own', async () => {
    const descriptor = describeQueue(type, { maxsize: 8 });
    const [sum] = await start(
      `
      const { Worker } = require('node:worker_threads');
      const inWorker = "const sq = require('sage-queue'); const { workerData } = require('node:worker_threads');" +
        "const queue = sq.resolveDescriptor(workerData[0]);" +
        "(async () => { for (let index = 1; index <= 500; index++) workerData[1] ? queue.putSync(index) : await queue.put(index); queue.closeSync(); })();";
      (async () => {
        const queue = open();
        const ends = [0, 1, 2].map((how) => new Promise((resolve) => new Worker(inWorker, { eval: true, workerData: [descriptor, how] }).once('exit', resolve)));
        let sum = 0;
        for (let count = 0; count < 1500; count++) sum += await queue.get();
        await Promise.all(ends);
        say([sum, (await queue.stats()).attached.length]);
        queue.closeSync();
      })();`,
      descriptor,
    ).clean();
    expect(sum).toEqual([3 * 125_250, 1]);
  });

  test.each([
    ['in an async get', 'queue.get(); asleep = true;'],
    ['with eight pending', 'for (let count = 0; count < 8; count++) queue.get(); asleep = true;'],
    ['with a lease and a claim open', 'queue.putSync(1); queue.leaseSync(); queue.claimSync?.(10); asleep = true;'],
  ])('process.exit() %s, and by a signal that exits', async (_name, code) => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    for (const end of ['process.exit(0)', "process.kill(process.pid, 'SIGTERM')"]) {
      const child = start(
        `const queue = open(); let asleep; process.on('SIGTERM', () => process.exit(0)); ${code} setTimeout(() => { say(now()); ${end}; }, 20);`,
        descriptor,
      );
      const from = await child.next();
      await child.clean();
      expect(Number(process.hrtime.bigint()) / 1e6 - from).toBeLessThan(1000);
      await until('it has left', async () => (await keeper.stats()).attached!.length === 1);
    }
    expect(drain(keeper)).toEqual(code.includes('lease') ? [1, 1] : []);
    keeper.closeSync();
  });

  test('SIGINT ends a process that is blocked in getSync or putSync', async () => {
    const descriptor = describeQueue(type, { maxsize: 1 });
    const keeper = attach(descriptor);
    const getter = start(`const queue = open(); say(1); queue.getSync();`, descriptor);
    await getter.next();
    await until('it sleeps', async () => (await keeper.stats()).waitingGetters === 1);
    getter.signal('SIGINT');
    expect((await getter.ended).signal).toBe('SIGINT');
    keeper.closeSync();
  });
});
