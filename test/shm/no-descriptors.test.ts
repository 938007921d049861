/** Calls that have to sleep while the process has no descriptor left for a doorbell: they are served all the same, and later ring again. */
import { attach, describeQueue, run, start, types } from './child';
import type { NativeType } from './child';

const scarce = { wrapper: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] };
const prelude = `
  const take = () => {
    const taken = [];
    for (;;) try { taken.push(fs.openSync('/dev/null')); } catch { return () => { for (const fd of taken) fs.closeSync(fd); }; }
  };
  const bells = () => fs.readdirSync('/proc/self/fd').filter((fd) => {
    try { return fs.readlinkSync('/proc/self/fd/' + fd).includes('/sage-queue-bell+'); } catch { return false; }
  }).length;
  const until = async (condition) => { while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2)); };
  const outcome = (call) => call.then((value) => value ?? 'done', (error) => error.code);
`;

describe.each(types)('%s', (type: NativeType) => {
  test('gets, leases and joins that sleep then are served, and hear the doorbell once there are descriptors', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const child = start(
      `${prelude}
      (async () => {
        const queue = open();
        const free = take();
        const got = outcome(queue.get());
        const leased = outcome(queue.lease().then((lease) => { lease.ackSync(); return lease.item; }));
        await until(async () => (await queue.stats()).waitingGetters === 1);
        say('asleep');
        say([await got, await leased]);
        await queue.put(1);
        const joined = outcome(queue.join());
        say('joining');
        say(await joined);
        const last = outcome(queue.get());
        free();
        await until(() => bells() !== 0);
        say('heard');
        say(await last);
        queue.closeSync();
      })();`,
      descriptor,
      [],
      scarce,
    );
    expect(await child.next()).toBe('asleep');
    keeper.putManySync(['got', 'leased']);
    expect(await child.next()).toEqual(['got', 'leased']);
    expect(await child.next()).toBe('joining');
    expect(keeper.getSync()).toBe(1);
    expect(await child.next()).toBe('done');
    expect(await child.next()).toBe('heard');
    keeper.putSync('last');
    expect(await child.next()).toBe('last');
    await child.clean();
    keeper.closeSync();
  });

  test('a put that finds no room waits then, and its item goes in once', async () => {
    // So full that a putter sleeps at once.
    const descriptor = describeQueue(type, { maxsize: 1024 });
    const keeper = attach<number>(descriptor);
    keeper.putManySync(Array.from({ length: 1024 }, (_, item) => item));
    const child = start(
      `${prelude}
      (async () => {
        const queue = open();
        const free = take();
        const calls = [queue.put(1024), queue.put(1025, { timeoutMs: 20 }), queue.putMany([1026, 1027])].map(outcome);
        await until(async () => (await queue.stats()).waitingPutters === 1);
        await calls[1];
        say('late');
        say(await Promise.all(calls));
        free();
        say(await outcome(queue.put(1028, { timeoutMs: 10000 })));
        queue.closeSync();
      })();`,
      descriptor,
      [],
      scarce,
    );
    expect(await child.next()).toBe('late');
    const items = keeper.getManySync(1024);
    expect(await child.next()).toEqual(['done', 'ERR_QUEUE_FULL', 2]);
    expect(await child.next()).toBe('done');
    await child.clean();
    items.push(...keeper.getManySync(10));
    expect(items).toEqual([...Array.from({ length: 1025 }, (_, item) => item), 1026, 1027, 1028]);
    keeper.closeSync();
  });

  test('what a call that blocks the thread beside them has taken is not lost', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const child = start(
      `${prelude}
      const queue = open();
      const free = take();
      const waiting = outcome(queue.get());
      say('waits');
      say([queue.getSync()]);
      waiting.then((item) => { say(item); free(); queue.closeSync(); });`,
      descriptor,
      [],
      scarce,
    );
    expect(await child.next()).toBe('waits');
    keeper.putSync('first');
    expect(await child.next()).toEqual(['first']);
    keeper.putSync('second');
    expect(await child.next()).toBe('second');
    await child.clean();
    keeper.closeSync();
  });

  test('a queue that slept then hears the doorbell that another one has made since', async () => {
    const [descriptor, other] = [describeQueue(type), describeQueue(type)];
    const keeper = attach(descriptor);
    const child = start(
      `${prelude}
      (async () => {
        const queue = open();
        const other = sq.resolveDescriptor(given[0]);
        const free = take();
        say(await outcome(queue.get({ timeoutMs: 30 })));
        free();
        const idle = outcome(other.get());
        await until(() => bells() !== 0);
        const waiting = outcome(queue.get());
        await until(async () => (await queue.stats()).waitingGetters === 1);
        say('waits');
        say(await waiting);
        other.unlinkSync();
        queue.closeSync();
        other.closeSync();
        say(await idle);
      })();`,
      descriptor,
      [other],
      scarce,
    );
    expect([await child.next(), await child.next()]).toEqual(['ERR_QUEUE_EMPTY', 'waits']);
    await run(`const queue = open(); queue.putSync('there'); queue.closeSync();`, descriptor);
    expect([await child.next(), await child.next()]).toEqual(['there', 'ERR_QUEUE_CLOSED']);
    await child.clean();
    keeper.closeSync();
  });
});
