import { readdirSync } from 'node:fs';
import { attach, describeQueue, freshName, run, segmentFiles, SHM, start, types, until } from './child';

/** Descriptors and threads of the process that runs this. */
const counts = `const counts = () => [fs.readdirSync('/proc/self/fd').length, fs.readdirSync('/proc/self/task').length];`;

describe.each(types)('%s', (type) => {
  test('8 processes × 200 cycles of create, put, get, close, unlink leave nothing behind', async () => {
    const shared = describeQueue(type, { maxsize: 10 });
    const children = Array.from({ length: 8 }, (_, who) =>
      start(
        `${counts}
        (async () => {
          const cycle = async (index) => {
            // Every other one on the name that all of them make and remove at once.
            const alone = index % 2 === 0;
            const queue = sq.resolveDescriptor(alone ? given[0] : descriptor);
            if (alone && index % 5 === 0) { const wait = queue.get({ timeoutMs: 1 }).catch(() => {}); await wait; }
            queue.putSync([given[1], index], { timeoutMs: 5000 });
            const item = index % 3 === 0 ? await queue.get({ timeoutMs: 5000 }) : queue.getSync({ timeoutMs: 5000 });
            if (!Array.isArray(item) || (alone && item[1] !== index)) throw new Error('found ' + JSON.stringify(item));
            if (alone && index % 4 === 0) queue.unlinkSync();
            queue.closeSync();
          };
          // Of the first wait a descriptor stays for good: libuv opens /dev/null with the first stream of a loop. None of the cycles
          // need wait, so this does.
          const first = sq.resolveDescriptor(given[0]);
          const waits = first.get();
          while ((await first.stats()).waitingGetters === 0) await new Promise(setImmediate);  // it looks again before it sleeps
          first.putSync(0);
          await waits;
          first.closeSync();
          for (let index = 0; index < 10; index++) await cycle(index);
          await new Promise((resolve) => setTimeout(resolve, 20));
          const before = counts();
          for (let index = 0; index < 200; index++) await cycle(index);
          await new Promise((resolve) => setTimeout(resolve, 20));
          say([before, counts()]);
        })();`,
        shared,
        [describeQueue(type), who],
      ),
    );
    for (const child of children) {
      const [[before, after]] = await child.clean();
      expect(after[0]).toBe(before[0]);
      expect(after[1]).toBeLessThanOrEqual(before[1]);
    }
    expect(segmentFiles()).toEqual([]);
  });

  test('handles that wait, hold and put to sleepers are closed without a trace, a thousand times', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach<number>(descriptor);
    const sleepers = [0, 1, 2].map(() =>
      start(`const queue = open(); try { for (;;) queue.getSync(); } catch {} queue.closeSync();`, descriptor),
    );
    await until('they sleep', async () => (await keeper.stats()).waitingGetters === 3);
    // A put that finds several asleep is followed up by the putter's watcher, which must forget a handle that closes.
    const [[before, after]] = await run(
      `${counts}
      (async () => {
        const cycle = () => { const queue = open(); queue.putSync(1); queue.closeSync(); };
        const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
        for (let index = 0; index < 50; index++) { cycle(); if (index % 10 === 0) await pause(); }
        await pause();
        const before = counts();
        for (let index = 0; index < 1000; index++) { cycle(); if (index % 10 === 0) await pause(); }
        await pause();
        say([before, counts()]);
      })();`,
      descriptor,
    );
    expect(after).toEqual(before);
    await keeper.shutdown();
    await Promise.all(sleepers.map((sleeper) => sleeper.clean()));
    keeper.closeSync();
  });

  test('close ends what waits, and is final and idempotent', async () => {
    const [codes] = await run(
      `(async () => {
        const queue = open();
        const waiting = [queue.get(), queue.getMany(3), queue.lease(), queue.putMany(new Array(3000).fill(1)).then(() => queue.get())];
        setImmediate(() => { queue.closeSync(); queue.closeSync(); });
        const codes = (await Promise.allSettled(waiting)).map(({ reason, value }) => reason?.code ?? (value?.item !== undefined ? 'lease' : 'item'));
        await queue.close();
        for (const call of ['putSync', 'getSync', 'qsizeSync', 'peekSync', 'leaseSync', 'unlinkSync', 'emptySync']) {
          try { queue[call](1); codes.push('no error'); } catch (error) { codes.push(error.code); }
        }
        for (const call of ['put', 'get', 'qsize', 'full', 'stats', 'shutdown', 'lease']) codes.push(await queue[call](1).then(() => 'no error', (error) => error.code));
        say(codes);
        const rest = open({ create: 'if-missing' });
        while (!rest.emptySync()) rest.getManySync(64);
        rest.closeSync();
      })();`,
      describeQueue(type, { maxsize: 10 }),
    );
    // The first three get items from the putMany of the fourth, or are closed; nothing else may come out.
    for (const code of codes.slice(0, 3)) expect(['item', 'lease', 'ERR_QUEUE_CLOSED']).toContain(code);
    expect([...new Set(codes.slice(3))]).toEqual(['ERR_QUEUE_CLOSED']);
  });

  test('closeAllQueues closes every handle; forgotten ones close themselves', async () => {
    const [outcome] = await run(
      `(async () => {
        const keeper = open();
        (() => { for (let index = 0; index < 20; index++) { const queue = open(); if (index % 2) queue.putSync(index); } })();
        for (let count = 0; (await keeper.stats()).attached.length > 1 && count < 500; count++) { gc(); await new Promise((resolve) => setTimeout(resolve, 2)); }
        const attached = (await keeper.stats()).attached.length;
        const others = [open(), open()];
        const pending = others[0].get().then(() => others[0].getMany(100)).then(() => others[0].get()).catch((error) => error.code);
        await new Promise(setImmediate);
        await sq.closeAllQueues();
        await sq.closeAllQueues();
        const codes = [await pending, await keeper.qsize().catch((error) => error.code)];
        say([attached, ...codes]);
      })();`,
      describeQueue(type),
      [],
      { flags: ['--expose-gc'] },
    );
    expect(outcome).toEqual([1, 'ERR_QUEUE_CLOSED', 'ERR_QUEUE_CLOSED']);
  });

  test('ref and unref: a waiting call keeps the process alive unless told not to', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    for (const calls of [
      'queue.unref().get()',
      'queue.get(); queue.unref()',
      'queue.unref().get({ timeoutMs: 60000 })',
      'queue',
    ]) {
      await run(`const queue = open(); ${calls};`, descriptor);
    }
    const waiting = start(`const queue = open(); queue.unref(); queue.get().then((item) => { say(item); queue.closeSync(); }); queue.ref(); say('waits');`, descriptor); // prettier-ignore
    await waiting.next();
    await until('it waits', async () => (await keeper.stats()).waitingGetters === 1);
    keeper.putSync('came');
    expect(await waiting.clean()).toEqual(['came']);
    keeper.closeSync();
  });

  test('forked children and cluster workers meet on one queue by its descriptor', async () => {
    const descriptor = describeQueue(type);
    const [sum] = await run(
      `
      const cluster = require('node:cluster');
      const queue = open();
      cluster.setupPrimary({ execArgv: [], exec: require('node:path').join(process.cwd(), 'test/shm/cluster-worker.cjs') });
      for (let index = 0; index < 3; index++) cluster.fork({ DESCRIPTOR: JSON.stringify(descriptor) });
      (async () => {
        for (let index = 1; index <= 300; index++) await queue.put(index);
        await queue.shutdown();
        const sums = [];
        cluster.on('message', (worker, message) => sums.push(message));
        let left = 3;
        cluster.on('exit', (worker, code) => {
          if (--left === 0) { say([sums.reduce((sum, one) => sum + one, 0), code]); queue.closeSync(); }
        });
      })();`,
      descriptor,
    );
    expect(sum).toEqual([45_150, 0]);
  });
});

test('a descriptor travels as an item: a reply queue in a request, for each type', async () => {
  for (const type of types) {
    const requests = describeQueue(type);
    const server = start(
      `(async () => {
        const queue = open();
        const { reply, question } = await queue.get();
        const answers = sq.resolveDescriptor(reply);
        answers.putSync([reply instanceof sq.QueueDescriptor, question * 2]);
        answers.closeSync(); queue.closeSync();
      })();`,
      requests,
    );
    const queue = attach(requests);
    const answers = attach(describeQueue(type));
    queue.putSync({ reply: answers.descriptor, question: 21 });
    expect(await answers.get({ timeoutMs: 20_000 })).toEqual([true, 42]);
    await server.clean();
    answers.closeSync();
    queue.closeSync();
  }
});

test('importing loads no addon and starts no thread; local needs none; shm without one says so', async () => {
  const [imported, threads, local, ...missing] = await run(
    `
    const tasks = () => fs.readdirSync('/proc/self/task').length;
    const addons = () => Object.keys(require.cache).filter((file) => file.endsWith('.node')).length + (fs.readFileSync('/proc/self/maps', 'utf8').includes('sage_queue.node') ? 1 : 0);
    const before = tasks();
    for (const file of Object.keys(require.cache)) delete require.cache[file];
    require('sage-queue');
    say(addons());
    say(tasks() - before);
    (async () => {
      const queue = sq.getLocalQueue('here');
      await queue.put(1);
      say([await queue.get(), addons()]);
      for (const make of [() => sq.attachToShmQueue(undefined, 'x'), () => sq.getSageQueue('x'), () => sq.listSegments()]) {
        try { make(); say('no error'); } catch (error) { say([error.code, /SAGE_QUEUE_ADDON/.test(error.message)]); }
      }
    })();`,
    null,
    [],
    { env: { SAGE_QUEUE_ADDON: '/nowhere/sage_queue.node' } },
  );
  expect([imported, threads, local]).toEqual([0, 0, [1, 0]]);
  expect(missing).toEqual(Array(3).fill(['ERR_ADDON_MISSING', true]));
});

test('SAGE_QUEUE_ADDON may be relative to the working directory', async () => {
  const [item] = await run(
    `process.chdir('build'); const queue = open(); queue.putSync('moved'); say(queue.getSync()); queue.closeSync();`,
    describeQueue('shm'),
    [],
    { env: { SAGE_QUEUE_ADDON: 'Release/sage_queue.node' } },
  );
  expect(item).toBe('moved');
});

test('a handle that never waited starts no thread', async () => {
  const [outcome] = await run(
    `const tasks = () => fs.readdirSync('/proc/self/task').length; const before = tasks();
    const queue = open(); queue.putSync(1); queue.getSync(); say(tasks() - before); queue.closeSync();`,
    describeQueue('sage_queue'),
  );
  expect(outcome).toBe(0);
});

test('custom types registered in a child resolve beside the native ones', async () => {
  const lines = await run(
    `
    class Stack { constructor() { this.items = []; } put(item) { this.items.push(item); } get() { if (!this.items.length) throw new sq.QueueEmptyError(); return this.items.pop(); } empty() { return !this.items.length; } qsize() { return this.items.length; } }
    sq.registerQueueImplementation('my_custom', Stack);
    (async () => {
      const queue = sq.resolveDescriptor({ queue_id: 'q', queue_type: 'my_custom', metadata: {}, created_timestamp: 1 });
      await queue.putMany([1, 2, 3]);
      say([await queue.getMany(2), await queue.full(), sq.getRegisteredQueueTypes().includes('my_custom')]);
      try { sq.resolveDescriptor({ queue_id: 'q', queue_type: 'none', metadata: {}, created_timestamp: 1 }); } catch (error) { say([error.code, error.message.includes('my_custom') && error.message.includes('shm')]); }
    })();`,
    null,
  );
  expect(lines).toEqual([
    [[3, 2], false, true],
    ['ERR_QUEUE_TYPE_UNKNOWN', true],
  ]);
});

test('a name of this file is in /dev/shm while its queue lives, and only then', () => {
  const name = freshName();
  const queue = attach(describeQueue('shm', {}, name));
  expect(readdirSync(SHM).filter((file) => file.includes(name))).toHaveLength(1);
  queue.closeSync();
  expect(readdirSync(SHM).filter((file) => file.includes(name))).toEqual([]);
});
