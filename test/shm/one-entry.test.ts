/** One entry for each thread and segment: what the handles of a thread share, and what is each one's own. */
import { attach, describeQueue, drain, errorOf, freshName, run, segmentFiles, start, types, until } from './child';
import { HANDLES } from './handles';

describe.each(types)('%s', (type) => {
  test('10 000 resolutions that nobody closes are one entry', async () => {
    const [counts, open, items] = await run(
      `${HANDLES}
      (async () => {
        const keeper = open();
        const descriptors = () => fs.readdirSync('/proc/self/fd').length;
        const before = descriptors();
        const counts = [];
        for (let index = 0; index < 10_000; index++) {
          const queue = open();
          if (index % 1000 === 0) await queue.put(index);
          if (index % 2500 === 0) counts.push(await attached(queue));
        }
        say(counts);
        say(descriptors() - before);
        const items = [];
        while (!keeper.emptySync()) items.push(await open().get());
        say(items);
        keeper.closeSync();
      })();`,
      describeQueue(type),
    );
    expect(counts).toEqual([1, 1, 1, 1]);
    expect(open).toBe(0);
    expect(items).toEqual(Array.from({ length: 10 }, (_, index) => 1000 * index));
  });

  test('10 000 handles with a call in flight each get their items in the order of the calls', async () => {
    const [attached, ordered] = await run(
      `${HANDLES}
      (async () => {
        const calls = [];
        for (let index = 0; index < 10_000; index++) calls.push(open().get());
        const queue = open();
        say(await attached(queue));
        await turn();
        for (let index = 0; index < 10_000; index += 100) await queue.putMany(Array.from({ length: 100 }, (_, item) => index + item));
        say((await Promise.all(calls)).every((item, index) => item === index));
        await sq.closeAllQueues();
      })();`,
      describeQueue(type),
    );
    expect([attached, ordered]).toEqual([1, true]);
  });

  test('a handle that is closed takes its own leases and calls along, and no others', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const [a, b] = [open(), open()];
        await a.putMany([0, 1, 2, 3]);
        const leases = [await a.lease(), await b.lease(), await a.leaseMany(1), await b.leaseMany(1)];
        const calls = [a.get(), b.get(), a.getMany(2), b.lease().then((lease) => lease.item)].map(outcome);
        const joins = [a.join(), b.join()].map(outcome);
        await turn();
        a.closeSync();
        say(await Promise.all(calls));
        say(await joins[0]);
        say(await Promise.all([leases[0].ack(), leases[0].release(), leases[1].ack(), leases[2].ack(), leases[3].ack()].map(outcome)));
        say([await outcome(a.put(1)), await attached(b)]);
        b.unlinkSync();
        b.closeSync();
        say(await joins[1]);
      })();`,
      describeQueue(type),
    );
    expect(said).toEqual([
      ['ERR_QUEUE_CLOSED', 0, 'ERR_QUEUE_CLOSED', 2],
      'ERR_QUEUE_CLOSED',
      ['ERR_QUEUE_CLOSED', 'done', 'done', 'ERR_QUEUE_CLOSED', 'done'],
      ['ERR_QUEUE_CLOSED', 1],
      'ERR_QUEUE_CLOSED',
    ]);
  });

  test('calls of several handles are served in the order in which they were made, gets and puts', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const handles = [open(), open(), open()];
        const gets = Array.from({ length: 9 }, (_, index) => handles[index % 3].get());
        await turn();
        for (let item = 0; item < 9; item++) await handles[item % 2].put(item);
        say(await Promise.all(gets));
        await handles[0].put('full');
        const puts = Array.from({ length: 6 }, (_, index) => outcome(handles[index % 3][index === 2 ? 'putMany' : 'put'](index === 2 ? [2, 2.5] : index)));
        await turn();
        say([await outcome(handles[1].put('now', { block: false })), await outcome(handles[1].put('soon', { timeoutMs: 5 }))]);
        const items = [];
        handles[0].closeSync();
        while (items.length < 6) items.push(await handles[1].get());
        say(items);
        say(await Promise.all(puts));
        say(handles[2].emptySync());
        handles.forEach((queue) => queue.closeSync());
      })();`,
      describeQueue(type, { maxsize: 1 }),
    );
    expect(said).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7, 8],
      ['ERR_QUEUE_FULL', 'ERR_QUEUE_FULL'],
      ['full', 1, 2, 2.5, 4, 5],
      ['ERR_QUEUE_CLOSED', 'done', 2, 'ERR_QUEUE_CLOSED', 'done', 'done'],
      true,
    ]);
  });

  test('a call that blocks the thread leaves the waiting calls of other handles awake', async () => {
    const queue = describeQueue(type, { maxsize: 4 });
    const child = start(
      `${HANDLES}
      (async () => {
        const [a, b] = [open(), open()];
        const got = a.get();
        await turn();
        try { b.getSync({ timeoutMs: 20 }); } catch (error) { say(error.code); }
        say(await got);
        a.closeSync(); b.closeSync();
      })();`,
      queue,
    );
    const keeper = attach(queue);
    expect(await child.next()).toBe('ERR_QUEUE_EMPTY');
    keeper.putSync('for a');
    expect(await child.clean()).toEqual(['for a']);
    keeper.closeSync();
  });

  test('putMany that waits and putManySync that blocks do not mix their items', async () => {
    const descriptor = describeQueue(type, { maxsize: 8 });
    const keeper = attach<string>(descriptor);
    const child = start(
      `${HANDLES}
      (async () => {
        const [a, b] = [open(), open()];
        const many = (name) => Array.from({ length: 200 }, (_, index) => name + index);
        const waiting = [a.putMany(many('a')), b.putMany(many('b'))];
        await turn();
        say('waits');
        say(b.putManySync(many('c')));
        say(await Promise.all(waiting));
        a.closeSync(); b.closeSync();
      })();`,
      descriptor,
    );
    await child.next();
    const items: string[] = [];
    // A few at a time: what blocks is served in parts, and those that wait between them.
    while (items.length < 600) items.push(...(await keeper.getMany(3)));
    expect(await child.clean()).toEqual([200, [200, 200]]);
    for (const name of ['a', 'b', 'c'])
      expect(items.filter((item) => item.startsWith(name))).toEqual(Array.from({ length: 200 }, (_, i) => name + i));
    keeper.closeSync();
  });

  test('the queue that comes after one that was unlinked has an entry of its own', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const old = open();
        old.unlinkSync();
        let missing;
        try { open({ create: 'never' }); } catch (error) { missing = error.code; }
        const [fresh, other] = [open(), open({ create: 'never' })];
        await old.put('old');
        await other.put('new');
        say([missing, old.qsizeSync(), await fresh.get(), await attached(old), await attached(fresh)]);
        old.closeSync();
        await fresh.put('still');
        say([await other.get(), await outcome(old.get())]);
        fresh.closeSync(); other.closeSync();
      })();`,
      describeQueue(type),
    );
    expect(said).toEqual([['ERR_QUEUE_NOT_FOUND', 1, 'new', 1, 1], ['still', 'ERR_QUEUE_CLOSED']]); // prettier-ignore
  });

  test('create, codecs, configurations and producers are asked of each handle', async () => {
    const said = await run(
      `${HANDLES}
      const codeOf = (attempt) => { try { attempt().closeSync(); return 'attached'; } catch (error) { return error.code; } };
      (async () => {
        const queue = open({ create: 'exclusive' });
        const other = (metadata) => sq.resolveDescriptor({ ...descriptor, metadata: { ...descriptor.metadata, ...metadata } });
        say([codeOf(() => open({ create: 'exclusive' })), codeOf(() => open({ create: 'never' })), codeOf(() => other({ maxsize: 7 })), codeOf(() => other({ codec: 'json' }))]);
        const json = other({ codec: 'json' });
        await json.put(new Date(0));
        await queue.put(new Date(0));
        say([await json.get(), (await json.get()) instanceof Date, await attached(queue)]);
        const producers = [open({ producer: { expect: 2 } }), open({ producer: true }), open()];
        await producers[0].put(1);
        await producers[1].put(2);
        producers[0].closeSync();
        producers[2].closeSync();
        say([await queue.get(), await queue.get()]);
        const waiting = outcome(queue.get());
        await turn();
        producers[1].closeSync();
        say([await waiting, codeOf(() => open({ producer: true })), await attached(queue)]);
        queue.closeSync(); json.closeSync();
      })();`,
      describeQueue(type),
    );
    expect(said).toEqual([
      ['ERR_QUEUE_EXISTS', 'attached', 'ERR_QUEUE_CONFIG_MISMATCH', 'attached'],
      ['1970-01-01T00:00:00.000Z', true, 1],
      [1, 2],
      ['ERR_QUEUE_SHUT_DOWN', 'ERR_QUEUE_SHUT_DOWN', 1],
    ]);
  });

  test('shutdown through one handle ends what waits through the others at once', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const [a, b] = [open(), open()];
        await a.put(1);
        async function* silent() { yield 2; await new Promise(() => {}); }
        const calls = [b.put(3), b.putMany([4]), open().putMany(silent()), open().put(5)].map(outcome);
        await turn();
        await a.shutdown();
        let settled;
        void Promise.all(calls).then((codes) => { settled = codes; });
        await turn();
        say(settled);
        say([await b.get(), await outcome(b.get()), await outcome(b.join())]);
        await sq.closeAllQueues();
      })();`,
      describeQueue(type, { maxsize: 1 }),
    );
    expect(said).toEqual([Array(4).fill('ERR_QUEUE_SHUT_DOWN'), [1, 'ERR_QUEUE_SHUT_DOWN', 'done']]);
  });

  test('the segment goes with the last handle of the last thread', async () => {
    const name = freshName();
    const descriptor = describeQueue(type, {}, name);
    const said = await run(
      `
      const { Worker } = require('node:worker_threads');
      (async () => {
        const [a, b] = [open(), open()];
        const worker = new Worker("const sq = require('sage-queue'); const { workerData, parentPort } = require('node:worker_threads');" +
          "globalThis.queues = [0, 1, 2].map(() => sq.resolveDescriptor(workerData)); (async () => {" +
          "await queues[0].putMany([1, 2, 3]); globalThis.leases = [await queues[0].lease(), await queues[1].lease()];" +
          "globalThis.waiting = queues[2].getMany(2).then(() => queues[2].get()); setImmediate(() => parentPort.postMessage('ready')); })();", { eval: true, workerData: descriptor });
        await new Promise((resolve) => worker.once('message', resolve));
        say([(await a.stats()).attached.length, (await a.stats()).leased]);
        await worker.terminate();
        say([(await a.stats()).attached.length, (await a.stats()).leased, a.qsizeSync()]);
        say([await a.get(), await b.get()]);
        a.closeSync();
        say(fs.readdirSync('/dev/shm').some((file) => file.endsWith(given[0])));
        b.closeSync();
        if (given[1]) sq.resolveDescriptor(descriptor).unlinkSync();
        process.exit(0);
      })();`,
      descriptor,
      [name, false],
    );
    expect(said).toEqual([[2, 2], [1, 0, 2], [1, 2], true]); // prettier-ignore
    if (type === 'sage_queue') expect(segmentFiles(name)).toEqual([]);
    else attach(descriptor).unlinkSync();
  });

  test('the death of the process gives back what all of its handles held', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach<number>(descriptor);
    keeper.putManySync([0, 1, 2, 3, 4]);
    const child = start(
      `(async () => {
        const handles = [open(), open(), open({ producer: true })];
        const held = [await handles[0].lease(), await handles[1].leaseMany(2), await handles[2].lease()];
        handles[1].get().then(() => handles[0].getMany(4));
        setImmediate(() => say('holds'));
        setInterval(() => held, 1000);
      })();`,
      descriptor,
    );
    await child.next();
    await until('it waits', async () => (await keeper.stats()).waitingGetters === 1);
    await child.kill();
    await until('all came back', async () => (await keeper.stats()).leased === 0);
    expect(drain(keeper)).toEqual([0, 1, 2, 3]);
    expect((await errorOf(() => keeper.getSync())).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    expect((await keeper.stats()).attached).toHaveLength(1);
    keeper.unlinkSync();
    keeper.closeSync();
  });
});

test('claims of several handles are open together, and end with their own', async () => {
  const said = await run(
    `(async () => {
      const [a, b] = [open(), open()];
      const claims = [a.claimSync(3), b.claimSync(3), open().claimSync(3)];
      const bytes = claims.map((claim) => claim.bytes);
      bytes.forEach((view, index) => view.fill(65 + index));
      a.closeSync();
      say([bytes[0].length, bytes[1].length]);
      claims[1].commit();
      claims[2].abort();
      say([(await b.get()).toString(), b.qsizeSync()]);
      let nested = [];
      await b.putMany(['one', 'two', 'three', 'four'].map((text) => Buffer.from(text)));
      const c = open();
      b.consumeSync((outer) => {
        nested.push(outer.toString());
        if (nested.length === 1) c.consumeSync((inner) => { nested.push(inner.toString()); if (inner[0] === 116) throw new Error('goes back'); }, 2);
      }, 1);
      say(nested);
    })().catch(async (error) => { say(error.message); const rest = open(); say(rest.getManySync(9).map(String)); rest.unlinkSync(); await sq.closeAllQueues(); });`,
    describeQueue('sage_queue'),
  );
  expect(said).toEqual([[0, 3], ['BBB', 0], 'goes back', ['one', 'two', 'three', 'four']]); // prettier-ignore
});
