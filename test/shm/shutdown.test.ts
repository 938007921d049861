import { attach, describeQueue, drain, errorOf, run, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('shutdown ends puts everywhere at once, and gets once the queue is drained', async () => {
    const descriptor = describeQueue(type, { maxsize: 2 });
    const queue = attach(descriptor);
    queue.putManySync([1, 2]);
    const putters = ['sync', 'async'].map((how) =>
      start(
        `(async () => {
          const queue = open();
          try { if (given[0] === 'sync') queue.putSync(3); else await queue.put(3); } catch (error) { say(error.code); }
          queue.closeSync();
        })();`,
        descriptor,
        [how],
      ),
    );
    await until('both wait', async () => (await queue.stats()).waitingPutters === 2);
    await queue.shutdown();
    await queue.shutdown();
    for (const putter of putters) expect(await putter.clean()).toEqual(['ERR_QUEUE_SHUT_DOWN']);
    const [late] = await run(
      `(async () => { const queue = open({ create: 'never' }); const items = []; let put;
        try { queue.putSync(9); } catch (error) { put = error.code; }
        for await (const item of queue) items.push(item);
        let got; try { queue.getSync(); } catch (error) { got = error.code; }
        say([put, items, got]); queue.closeSync(); })();`,
      descriptor,
    );
    expect(late).toEqual(['ERR_QUEUE_SHUT_DOWN', [1, 2], 'ERR_QUEUE_SHUT_DOWN']);
    for (const call of [() => queue.get(), () => queue.getSync(), () => queue.getMany(3), () => queue.lease()]) {
      expect((await errorOf(call)).code).toBe('ERR_QUEUE_SHUT_DOWN');
    }
    queue.closeSync();
  });

  test('waiting getters end with it: sync, async, iterators and streams', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const ways = {
      sync: 'queue.getSync()',
      async: 'await queue.get()',
      lease: 'await queue.lease()',
      iterator: "for await (const item of queue) {} throw { code: 'ended' }",
      stream: "for await (const item of queue.readable()) {} throw { code: 'ended' }",
    };
    const children = Object.entries(ways).map(([how, code]) => ({
      how,
      child: start(`(async () => { const queue = open(); try { ${code} } catch (error) { say(error.code); } queue.closeSync(); })();`, descriptor), // prettier-ignore
    }));
    await until('all wait', async () => (await queue.stats()).waitingGetters === children.length);
    await queue.shutdown();
    for (const { how, child } of children) {
      const expected = how === 'iterator' || how === 'stream' ? 'ended' : 'ERR_QUEUE_SHUT_DOWN';
      expect([how, ...(await child.clean())]).toEqual([how, expected]);
    }
    queue.closeSync();
  });

  test('immediate drops what is left', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putManySync([1, 2, 3]);
    await run(`(async () => { const queue = open(); await queue.shutdown({ immediate: true }); queue.closeSync(); })();`, descriptor); // prettier-ignore
    expect((await errorOf(() => queue.getSync())).code).toBe('ERR_QUEUE_SHUT_DOWN');
    expect(queue.qsizeSync()).toBe(0);
    queue.closeSync();
  });

  test('leased items are left too: getters wait for them until they are given back or finished', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putManySync(['a', 'b']);
    const [first, second] = [queue.leaseSync(), queue.leaseSync()];
    await queue.shutdown();
    const getter = start(
      `const queue = open({ create: 'never' }); const items = [];
      try { for (;;) { items.push(queue.getSync()); say(items); } } catch (error) { say(error.code); } queue.closeSync();`,
      descriptor,
    );
    await until('it waits', async () => (await queue.stats()).waitingGetters === 1);
    first.releaseSync();
    expect(await getter.next()).toEqual(['a']);
    await until('it waits', async () => (await queue.stats()).waitingGetters === 1);
    second.ackSync();
    expect(await getter.clean()).toEqual(['ERR_QUEUE_SHUT_DOWN']);
    queue.closeSync();
  });

  test('a queue that is shut down and drained starts anew once nobody is attached', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putSync('last');
    await queue.shutdown();
    // Not drained: still the old queue, for whoever comes.
    const same = attach(descriptor);
    expect((await errorOf(() => same.putSync(1))).code).toBe('ERR_QUEUE_SHUT_DOWN');
    expect(same.getSync()).toBe('last');
    same.closeSync();
    queue.closeSync();
    const fresh = attach(descriptor);
    fresh.putSync('new life');
    expect(await run(`const queue = open({ create: 'never' }); say(queue.getSync()); queue.closeSync();`, descriptor)).toEqual(['new life']); // prettier-ignore
    // The holder of the last item dies: its item is left, so the queue is not finished.
    fresh.putSync('held');
    const holder = start(`const queue = open(); say(queue.leaseSync().item); hear();`, descriptor);
    expect(await holder.next()).toBe('held');
    await fresh.shutdown();
    fresh.closeSync();
    await holder.kill();
    const after = attach(descriptor);
    expect(drain(after)).toEqual(['held']);
    expect((await errorOf(() => after.getSync())).code).toBe('ERR_QUEUE_SHUT_DOWN');
    after.closeSync();
  });

  test('writers flush and shut down; readers in another process end', async () => {
    const descriptor = describeQueue(type, { maxsize: 3 });
    const reader = start(
      `(async () => { const queue = open(); const items = []; for await (const item of queue.readable()) items.push(item); say(items); queue.closeSync(); })();`,
      descriptor,
    );
    const writer = start(
      `(async () => {
        const queue = open();
        const stream = queue.writable({ shutdown: true });
        for (let index = 0; index < 50; index++) if (!stream.write(index)) await new Promise((resolve) => stream.once('drain', resolve));
        await new Promise((resolve) => stream.end(resolve));
        queue.closeSync();
      })();`,
      descriptor,
    );
    expect(await reader.clean()).toEqual([Array.from({ length: 50 }, (_, index) => index)]);
    await writer.clean();
  });
});
