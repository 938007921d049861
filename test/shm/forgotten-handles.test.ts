/** Handles that nobody closes: the collector closes what cannot be reached, and nothing else. */
import { attach, describeQueue, errorOf, run, start, types } from './child';
import { GC, HANDLES } from './handles';

describe.each(types)('%s', (type) => {
  test('what a forgotten handle held goes back, while its entry stays', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const keeper = open();
        await keeper.putMany([1, 2, 3]);
        const own = await keeper.lease();
        await (async () => { await open().lease(); open().leaseSync(); })();
        say([keeper.qsizeSync(), await attached(keeper)]);
        await collect('two leases', () => keeper.qsizeSync() === 2);
        say([(await keeper.stats()).leased, await attached(keeper), own.item]);
        await own.ack();
        say([await keeper.get(), await keeper.get(), keeper.qsizeSync()]);
        keeper.closeSync();
      })();`,
      describeQueue(type),
      [],
      GC,
    );
    expect(said).toEqual([[0, 1], [1, 1, 1], [2, 3, 0]]); // prettier-ignore
  });

  test('a lease, a waiting call, an iterator and a stream keep their handle', async () => {
    const said = await run(
      `${HANDLES}
      (async () => {
        const keeper = open();
        await keeper.put('leased');
        const lease = await open().lease();
        await keeper.put('batch');
        const batch = await open().leaseMany(4);
        const call = open().get();
        const iterator = open()[Symbol.asyncIterator]();
        const next = iterator.next();
        const stream = open().readable();
        const data = new Promise((resolve) => stream.once('data', resolve));
        stream.once('end', () => {});
        let dropped = 0;
        const registry = new FinalizationRegistry(() => dropped++);
        (() => { for (let index = 0; index < 10; index++) registry.register(open(), 0); })();
        await collect('ten others', () => dropped === 10);
        say([(await keeper.stats()).leased, keeper.qsizeSync()]);
        await keeper.putMany(['call', 'iterator', 'stream']);
        say([await call, (await next).value, await data]);
        stream.destroy();
        await Promise.all([lease.ack(), batch.ack()]);
        await collect('the stream', async () => (await keeper.stats()).leased === 0);
        say([lease.item, batch.items, keeper.qsizeSync()]);
        await iterator.return();
        keeper.closeSync();
      })();`,
      describeQueue(type),
      [],
      GC,
    );
    expect(said).toEqual([[2, 0], ['call', 'iterator', 'stream'], ['leased', ['batch'], 0]]); // prettier-ignore
  });

  test('a producer that is forgotten is lost, while its entry stays', async () => {
    const [end] = await run(
      `${HANDLES}
      (async () => {
        const queue = open();
        await (async () => { await open({ producer: true }).put('last'); })();
        say(await queue.get());
        const end = outcome(queue.get());
        let ended = false;
        end.then(() => { ended = true; });
        await collect('the producer', () => ended);
        say(await end);
        queue.closeSync();
      })();`,
      describeQueue(type),
      [],
      GC,
    ).then((said) => said.slice(1));
    expect(end).toBe('ERR_QUEUE_PRODUCER_LOST');
  });

  test('a producer that is forgotten is lost, and its entry ends', async () => {
    const descriptor = describeQueue(type);
    const reader = attach(descriptor);
    const child = start(
      `${HANDLES}
      (async () => {
        (() => { open({ producer: true }); })();
        let told = false;
        process.stdin.once('data', () => { told = true; });
        await collect('the producer', () => told);
        process.stdin.pause();
      })();`,
      descriptor,
      [],
      GC,
    );
    expect((await errorOf(() => reader.get())).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    child.tell(1);
    await child.clean();
    reader.closeSync();
  });
});

test('a view keeps the handle of its claim from being collected', async () => {
  const said = await run(
    `${HANDLES}
    (async () => {
      const keeper = open();
      const view = (() => open().claimSync(4).bytes.subarray(1))();
      let dropped = 0;
      const registry = new FinalizationRegistry(() => dropped++);
      (() => { for (let index = 0; index < 10; index++) registry.register(open(), 0); })();
      await collect('ten others', () => dropped === 10);
      view.fill(7);
      say([view.length, await outcome(keeper.get({ timeoutMs: 1 }))]);
      (() => { open().claimSync(4); })();
      await keeper.put('behind the claims');
      say(keeper.emptySync());
      keeper.unlinkSync();
      await sq.closeAllQueues();
    })();`,
    describeQueue('sage_queue'),
    [],
    GC,
  );
  expect(said).toEqual([[3, 'ERR_QUEUE_EMPTY'], false]);
});
