import type { NativeQueue } from '../../lib';
import { attach, describeQueue, drain, errorOf, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('ack finishes, release and disposal give back ahead of the rest, and deliveries count', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putManySync(['a', 'b', 'c']);
    const lease = queue.leaseSync();
    expect([lease.item, lease.deliveries, queue.qsizeSync()]).toEqual(['a', 1, 2]);
    await lease.release();
    await lease.ack(); // ended already: nothing happens
    expect(queue.qsizeSync()).toBe(3);
    const again = await queue.lease();
    expect([again.item, again.deliveries]).toEqual(['a', 2]);
    await again[Symbol.asyncDispose]?.();
    const third = queue.leaseSync();
    expect([third.item, third.deliveries]).toEqual(['a', 3]);
    third.ackSync();
    expect(drain(queue)).toEqual(['b', 'c']);
    expect(await queue.stats()).toMatchObject({ putTotal: 3, getTotal: 3, redelivered: 2 });
    queue.closeSync();
  });

  test('ack says that the item went back when its handle was closed before; release and disposal do not', async () => {
    const descriptor = describeQueue(type);
    const [keeper, queue] = [attach(descriptor), attach(descriptor)];
    queue.putManySync(['a', 'b', 'c']);
    const [first, second, third] = [queue.leaseSync(), queue.leaseSync(), queue.leaseSync()];
    queue.closeSync();
    await expect(first.ack()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    await second.release();
    third[Symbol.dispose]?.();
    expect(drain(keeper)).toEqual(['a', 'b', 'c']);
    keeper.closeSync();
  });

  test('the segment goes with the last handle after an immediate shutdown, items on lease or not', async () => {
    const queue = attach(describeQueue(type));
    queue.putManySync(['a', 'b']);
    queue.leaseSync();
    await queue.shutdown({ immediate: true });
    queue.closeSync(); // that nothing is left is looked at after the last test
  });

  test('an item given back is seen by other processes, with its count', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    const peer = start(
      `const queue = open(); const lease = queue.leaseSync(); say([lease.item, lease.deliveries]); lease.ackSync(); queue.closeSync();`,
      descriptor,
    );
    await until('it sleeps', async () => (await queue.stats()).waitingGetters === 1);
    queue.putSync('job');
    expect(await peer.clean()).toEqual([['job', 1]]);
    queue.putSync('again');
    const lease = queue.leaseSync();
    const other = start(
      `const queue = open(); const lease = queue.leaseSync(); say([lease.item, lease.deliveries, String(queue.peekSync())]); lease.ackSync(); queue.closeSync();`,
      descriptor,
    );
    await until('it sleeps', async () => (await queue.stats()).waitingGetters === 1);
    lease.releaseSync();
    expect(await other.clean()).toEqual([['again', 2, 'undefined']]);
    queue.closeSync();
  });

  test('a lease is held while 100 times the capacity passes by, and its bytes stay', async () => {
    const descriptor = describeQueue(type, { capacityBytes: 4096, maxsize: 16 });
    const holder = attach<Buffer>(descriptor);
    holder.putSync(Buffer.alloc(1000, 'L'));
    const held = holder.leaseSync();
    const peer = start(
      `const queue = open();
      let bytes = 0;
      for (let index = 0; bytes < 100 * 4096; index++) {
        const item = Buffer.alloc(1 + (index * 397) % 1500, index);
        queue.putSync(item);
        if (!queue.getSync().equals(item)) throw new Error('torn at ' + index);
        bytes += item.length;
      }
      say(bytes);
      const view = queue.leaseSync();
      say([String(view.item.subarray(0, 3)), view.item.length, view.item.every((byte) => byte === 76), view.deliveries]);
      view.ackSync();
      queue.closeSync();`,
      descriptor,
    );
    expect(await peer.next()).toBeGreaterThanOrEqual(100 * 4096);
    held.releaseSync();
    expect(await peer.clean()).toEqual([['LLL', 1000, true, 2]]);
    holder.closeSync();
  });

  test('leases count towards maxsize, and giving one back never overfills', async () => {
    const queue = attach<number>(describeQueue(type, { maxsize: 3 }));
    queue.putManySync([1, 2, 3]);
    const leases = [queue.leaseSync(), queue.leaseSync(), queue.leaseSync()];
    expect([queue.qsizeSync(), await queue.full()]).toEqual([0, true]);
    expect((await errorOf(() => queue.putSync(4, { block: false }))).code).toBe('ERR_QUEUE_FULL');
    leases[1]!.ackSync();
    queue.putSync(4);
    expect((await errorOf(() => queue.putSync(5, { block: false }))).code).toBe('ERR_QUEUE_FULL');
    leases[0]!.releaseSync();
    leases[2]!.releaseSync();
    expect(queue.qsizeSync()).toBe(3);
    expect(drain(queue)).toEqual([1, 3, 4]);
    queue.closeSync();
  });

  test('close gives open leases back, and so do forgotten handles', async () => {
    const descriptor = describeQueue(type);
    const queue = attach(descriptor);
    queue.putManySync(['a', 'b', 'c']);
    const other = attach(descriptor);
    const lease = other.leaseSync();
    other.closeSync();
    await expect(lease.ack()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' }); // too late: it went back
    expect(queue.qsizeSync()).toBe(3);
    const [seen] = await start(
      `
      (async () => {
        (() => { const queue = open(); say(queue.leaseSync().item); })();
        const queue = open({ create: 'never' });
        for (let count = 0; queue.qsizeSync() < 3 && count < 500; count++) { gc(); await new Promise((resolve) => setTimeout(resolve, 2)); }
        say([queue.qsizeSync(), (await queue.stats()).attached.length]);
        queue.closeSync();
      })();`,
      descriptor,
      [],
      { flags: ['--expose-gc'] },
    )
      .clean()
      .then((lines) => lines.slice(1));
    expect(seen).toEqual([3, 2]);
    expect(drain(queue)).toEqual(['a', 'b', 'c']);
    queue.closeSync();
  });

  test('a killed holder: its lease comes again with its count, and other leases stay', async () => {
    const descriptor = describeQueue(type);
    const queue: NativeQueue = attach(descriptor);
    queue.putManySync(['mine', 'x', 'y', 'z']);
    const mine = queue.leaseSync();
    const holder = start(
      `const queue = open(); const leases = [queue.leaseSync(), queue.leaseSync()]; queue.leaseSync().ackSync(); say(leases.map(({ item }) => item)); hear();`,
      descriptor,
    );
    expect(await holder.next()).toEqual(['x', 'y']);
    await holder.kill();
    const back = [queue.leaseSync({ timeoutMs: 1000 }), queue.leaseSync({ timeoutMs: 1000 })];
    expect(back.map(({ item, deliveries }) => [item, deliveries])).toEqual([
      ['x', 2],
      ['y', 2],
    ]);
    for (const lease of [...back, mine]) await lease.ack();
    expect(queue.qsizeSync()).toBe(0);
    expect(await queue.stats()).toMatchObject({ usedBytes: 0, recovered: 1, redelivered: 2 });
    queue.closeSync();
  });

  test('a broker-less work queue: workers that die leave no job undone', async () => {
    const descriptor = describeQueue(type, { maxsize: 0 });
    const queue = attach<number>(descriptor);
    queue.putManySync(Array.from({ length: 300 }, (_, index) => index));
    await queue.shutdown();
    const worker = `
      (async () => {
        const queue = open({ create: 'never' });
        try {
          for (let count = 0; ; count++) {
            const lease = given[0] % 2 ? queue.leaseSync() : await queue.lease();
            if (count === given[1]) process.kill(process.pid, 'SIGKILL');
            say(lease.item);
            await lease.ack();
          }
        } catch (error) { if (error.code !== 'ERR_QUEUE_SHUT_DOWN') throw error; }
        queue.closeSync();
      })();`;
    const done: number[] = [];
    const workers = [20, 30, 5, 10 ** 6, 10 ** 6].map((dies, index) => start(worker, descriptor, [index, dies]));
    await Promise.all(
      workers.map(async (child) => {
        try {
          for (;;) done.push(await child.next());
        } catch {
          // It ended.
        }
      }),
    );
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, index) => index));
    queue.closeSync();
  });
});
