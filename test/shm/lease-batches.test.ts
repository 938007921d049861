/** Batches on lease: what a batch holds counts, ends and comes back as single leases do. */
import { attach, describeQueue, drain, errorOf, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('a batch larger than one crossing, ended one by one and together', async () => {
    const queue = attach<number>(describeQueue(type, { maxsize: 500 }));
    const numbers = Array.from({ length: 300 }, (_, index) => index);
    queue.putManySync(numbers);
    const batch = await queue.leaseMany(200);
    expect(batch.items).toEqual(numbers.slice(0, 200));
    expect(await queue.stats()).toMatchObject({ leased: 200, qsize: 100 });
    await batch.leases[7]!.ack();
    await batch.leases[9]!.release();
    expect(await queue.stats()).toMatchObject({ leased: 198, qsize: 101, getTotal: 1 });
    await batch.ack();
    await batch.release();
    expect(await queue.stats()).toMatchObject({ leased: 0, qsize: 101, getTotal: 199 });
    expect(drain(queue)).toEqual([9, ...numbers.slice(200)]);
    queue.closeSync();
  });

  test('what is released comes again in its order, ahead of the rest, one delivery older', async () => {
    const queue = attach<string>(describeQueue(type));
    queue.putManySync(['a', 'b', 'c', 'd']);
    await (await queue.leaseMany(3)).release();
    const again = await queue.leaseMany(10);
    // Requeued items are taken one by one: each counts its own deliveries.
    expect(again.items).toEqual(['a', 'b', 'c', 'd']);
    expect(again.leases.map(({ deliveries, crashes }) => [deliveries, crashes])).toEqual([[2, 0], [2, 0], [2, 0], [1, 0]]); // prettier-ignore
    await again.ack();
    queue.closeSync();
  });

  test('items of every size and codec, one larger than what they are copied into', async () => {
    const queue = attach(describeQueue(type, { capacityBytes: 1 << 20 }));
    const items = [1, Buffer.from('raw'), { deep: ['x'] }, Buffer.alloc(200_000, 7), 'after', ''];
    queue.putManySync(items);
    const batch = await queue.leaseMany(10);
    expect(batch.items).toEqual(items);
    await batch.ack();
    expect(await queue.stats()).toMatchObject({ leased: 0, qsize: 0, usedBytes: 0 });
    queue.closeSync();
  });

  test('a batch whose holder is killed comes back whole, with its death counted', async () => {
    const descriptor = describeQueue(type, { maxsize: 100 });
    const queue = attach<number>(descriptor);
    queue.putManySync(Array.from({ length: 80 }, (_, index) => index));
    const holder = start(
      `const queue = open(); queue.leaseMany(70).then(async (batch) => { await batch.leases[0].ack(); await batch.leases[1].release(); say(batch.items.length); hear(); });`,
      descriptor,
    );
    expect(await holder.next()).toBe(70);
    expect(await queue.stats()).toMatchObject({ leased: 68, qsize: 11 });
    await holder.kill();
    await until('its leases are back', async () => (await queue.stats()).leased === 0);
    const batch = await queue.leaseMany(80);
    expect(batch.items).toEqual(Array.from({ length: 79 }, (_, index) => index + 1));
    expect(batch.leases.slice(0, 3).map(({ deliveries, crashes }) => [deliveries, crashes])).toEqual([[2, 0], [2, 1], [2, 1]]); // prettier-ignore
    await batch.ack();
    queue.closeSync();
  });

  test('deaths are counted, returns and closed handles are not', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<string>(descriptor);
    queue.putSync('poison');
    for (let crashes = 0; crashes < 3; crashes++) {
      const victim = start(`const queue = open(); say(queue.leaseSync().item); hear();`, descriptor);
      expect(await victim.next()).toBe('poison');
      await victim.kill();
      const lease = queue.leaseSync({ timeoutMs: 5000 });
      expect([lease.deliveries, lease.crashes]).toEqual([2 + 2 * crashes, 1 + crashes]);
      lease.releaseSync();
    }
    const leaver = attach<string>(descriptor);
    leaver.leaseSync();
    leaver.closeSync();
    expect(queue.leaseSync().crashes).toBe(3);
    queue.closeSync();
    attach(descriptor).unlinkSync();
  });

  test('waiting, timeouts, arguments, a closed handle', async () => {
    const descriptor = describeQueue(type);
    const [queue, peer] = [attach<string>(descriptor), attach<string>(descriptor)];
    const waiting = queue.leaseMany(5);
    await until('it waits', async () => (await peer.stats()).waitingGetters === 1);
    peer.putManySync(['a', 'b']);
    const batch = await waiting;
    expect(batch.items.length).toBeGreaterThanOrEqual(1);
    expect((await errorOf(() => queue.leaseMany(5, { timeoutMs: 5 }))).code).toBe(batch.items.length === 2 ? 'ERR_QUEUE_EMPTY' : undefined); // prettier-ignore
    expect((await queue.leaseMany(0)).items).toEqual([]);
    queue.closeSync();
    await expect(batch.ack()).rejects.toMatchObject({ code: 'ERR_QUEUE_CLOSED' });
    await batch.release();
    expect(drain(peer)).toEqual(['a', 'b']);
    peer.closeSync();
  });
});
