import { History } from '../history/check-history.cjs';
import { seeded } from '../random';
import { attach, describeQueue, drain, errorOf, run, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('an abort rejects with the reason, before, at once and while it waits, and takes nothing', async () => {
    const queue = attach<number>(describeQueue(type, { maxsize: 1 }));
    const reason = new Error('enough');
    const calls = {
      get: (signal: AbortSignal) => queue.get({ signal }),
      getMany: (signal: AbortSignal) => queue.getMany(3, { signal }),
      lease: (signal: AbortSignal) => queue.lease({ signal }),
    };
    for (const call of Object.values(calls)) {
      expect(await errorOf(() => call(AbortSignal.abort(reason)))).toBe(reason);
      const during = new AbortController();
      const waiting = errorOf(() => call(during.signal));
      during.abort(reason);
      expect(await waiting).toBe(reason);
    }
    queue.putSync(1);
    for (const call of Object.values(calls)) expect(await errorOf(() => call(AbortSignal.abort(reason)))).toBe(reason);
    expect(queue.qsizeSync()).toBe(1);
    const puts = {
      put: (signal: AbortSignal) => queue.put(2, { signal }),
      putMany: (signal: AbortSignal) => queue.putMany([3, 4], { signal }),
      'putMany of an async source': (signal: AbortSignal) => queue.putMany((async function* () { yield 5; })(), { signal }), // prettier-ignore
    };
    for (const [name, call] of Object.entries(puts)) {
      const during = new AbortController();
      const waiting = errorOf(() => call(during.signal));
      await new Promise(setImmediate);
      during.abort(reason);
      const error = await waiting;
      expect(error).toBe(reason);
      if (name !== 'put') expect(error.accepted).toBe(0);
    }
    expect(drain(queue)).toEqual([1]);
    expect(await queue.stats()).toMatchObject({ putTotal: 1, waitingGetters: 0, waitingPutters: 0 });
    queue.closeSync();
  });

  test('aborts at every moment of gets, leases and puts between processes lose nothing and double nothing', async () => {
    const random = seeded(`aborts ${type}`);
    const descriptor = describeQueue(type, { maxsize: 5 });
    const keeper = attach(descriptor);
    const total = 4000;
    const pace = `
      let state = given[0];
      const below = (limit) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor((state / 2 ** 32) * limit); };
      // Fires in this turn, in the next microtasks, in the next turn or a few later.
      const soon = () => {
        const controller = new AbortController();
        const fire = () => controller.abort('aborted');
        const when = below(6);
        if (when === 0) queueMicrotask(fire); else if (when === 1) process.nextTick(fire); else if (when === 2) setImmediate(fire);
        else if (when === 3) setTimeout(fire, below(3)); else if (when === 4) setImmediate(() => setImmediate(fire));
        return controller.signal;
      };`;
    const producer = start(
      `${pace}
      (async () => {
        const queue = open();
        let aborts = 0;
        for (let next = 0; next < given[1];) {
          try {
            if (below(2)) { await queue.put(next, { signal: soon() }); next++; }
            else next += await queue.putMany([next, next + 1, next + 2, next + 3].filter((number) => number < given[1]), { signal: soon() });
          } catch (error) {
            aborts++;
            // A reason that is a string cannot carry the count: what went in is then known from the totals.
            if (error !== 'aborted') throw error;
            next = (await queue.stats()).putTotal;
          }
        }
        await queue.shutdown();
        say(aborts);
        queue.closeSync();
      })();`,
      descriptor,
      [random.below(2 ** 32), total],
    );
    const consumers = [0, 1].map(() =>
      start(
        `${pace}
        (async () => {
          const queue = open();
          const got = [];
          let aborts = 0;
          for (;;) {
            try {
              const how = below(3);
              if (how === 0) got.push(await queue.get({ signal: soon() }));
              else if (how === 1) got.push(...(await queue.getMany(3, { signal: soon() })));
              else {
                const lease = await queue.lease({ signal: soon() });
                if (below(4) === 0) await lease.release(); else { got.push(lease.item); await lease.ack(); }
              }
            } catch (error) {
              if (error === 'aborted') { aborts++; continue; }
              if (error.code === 'ERR_QUEUE_SHUT_DOWN') break;
              throw error;
            }
          }
          say([got, aborts]);
          queue.closeSync();
        })();`,
        descriptor,
        [random.below(2 ** 32)],
      ),
    );
    const lines = (await Promise.all(consumers.map((child) => child.clean()))).flat() as [number[], number][];
    const [aborts] = await producer.clean();
    expect(aborts).toBeGreaterThan(0);
    expect(lines.every(([, count]) => count > 0)).toBe(true);
    const history = new History();
    history.ack('items', 0, total);
    // In no order: one that was given back comes late.
    for (const [got] of lines) history.gotEach('-', 'items', got);
    expect(history.result().problems).toEqual([]);
    keeper.closeSync();
  });

  test('waiting calls of one handle are served in order, and an abort in between leaves the order of the rest', async () => {
    const descriptor = describeQueue(type, { maxsize: 2 });
    const [outcome] = await run(
      `(async () => {
        const queue = open();
        const order = [];
        const controller = new AbortController();
        const gets = [0, 1, 2, 3, 4].map((index) => queue.get(index === 2 ? { signal: controller.signal } : {}).then((item) => order.push([index, item]), () => order.push([index, 'aborted'])));
        controller.abort();
        const other = open();
        await other.putMany([10, 11, 12, 13]);
        await Promise.all(gets);
        const puts = [20, 21, 22, 23, 24].map((item, index) => queue.put(item));
        const got = [];
        for (let count = 0; count < 5; count++) got.push(await other.get());
        await Promise.all(puts);
        say([order, got]);
        queue.closeSync(); other.closeSync();
      })();`,
      descriptor,
    );
    expect(outcome).toEqual([
      [[2, 'aborted'], [0, 10], [1, 11], [3, 12], [4, 13]], // prettier-ignore
      [20, 21, 22, 23, 24],
    ]);
  });

  test('a wake whose getter was aborted is passed on to the next sleeper', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const sleeper = start(`const queue = open(); for (let count = 0; count < 50; count++) say(queue.getSync()); queue.closeSync();`, descriptor); // prettier-ignore
    await until('it sleeps', async () => (await keeper.stats()).waitingGetters === 1);
    const aborting = attach(descriptor);
    const from = performance.now();
    for (let count = 0; count < 50; count++) {
      const controller = new AbortController();
      const waiting = aborting.get({ signal: controller.signal }).then(
        (item) => keeper.putSync(item),
        () => {},
      );
      await new Promise(setImmediate);
      keeper.putSync(count);
      controller.abort();
      await waiting;
      await sleeper.next();
    }
    expect(performance.now() - from).toBeLessThan(20_000);
    await sleeper.clean();
    aborting.closeSync();
    keeper.closeSync();
  });
});
