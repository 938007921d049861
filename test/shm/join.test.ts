/** join(): until nothing is in the queue or in anybody's hand, whoever finishes it and whoever dies. */
import { attach, describeQueue, errorOf, start, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('before the first put, and after a get, it resolves at once', async () => {
    const queue = attach<string>(describeQueue(type));
    await queue.join();
    queue.putSync('a');
    expect((await errorOf(() => queue.join({ timeoutMs: 5 }))).code).toBe('ERR_QUEUE_TIMEOUT');
    queue.getSync();
    await queue.join();
    queue.closeSync();
  });

  test('it waits for what is in the queue and for what is on lease, in any process', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<string>(descriptor);
    queue.putManySync(['a', 'b']);
    const worker = start(
      `const queue = open(); const lease = queue.leaseSync(); say(lease.item); hear(); lease.ackSync(); queue.closeSync();`,
      descriptor,
    );
    expect(await worker.next()).toBe('a');
    let joined = false;
    const joins = Promise.all(Array.from({ length: 20 }, () => queue.join())).then(() => (joined = true));
    queue.getSync();
    await expect(queue.join({ timeoutMs: 30 })).rejects.toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
    expect(joined).toBe(false);
    worker.tell('go on');
    await joins;
    await worker.clean();
    queue.closeSync();
  });

  test('the holder is killed: what it held is not finished until another finishes it', async () => {
    const descriptor = describeQueue(type);
    const [queue, other] = [attach<string>(descriptor), attach<string>(descriptor)];
    queue.putSync('a');
    const holder = start(`const queue = open(); queue.leaseSync(); say(1); hear();`, descriptor);
    await holder.next();
    let joined = false;
    const join = queue.join().then(() => (joined = true));
    await holder.kill();
    await until('it is back', async () => (await other.qsize()) === 1);
    await expect(other.join({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' });
    expect(joined).toBe(false);
    const lease = other.leaseSync();
    expect([lease.crashes, joined]).toEqual([1, false]);
    lease.ackSync();
    await join;
    queue.closeSync();
    other.closeSync();
  });

  test('a thousand that wait cost an idle process nothing', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<string>(descriptor);
    queue.putSync('a');
    const idle = start(
      `const queue = open();
       const joins = Array.from({ length: 1000 }, () => queue.join());
       const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
       (async () => {
         await later(200);
         const before = process.cpuUsage();
         await later(1000);
         const { user, system } = process.cpuUsage(before);
         say((user + system) / 1000);
         await Promise.all(joins);
         say('joined');
         queue.closeSync();
       })();`,
      descriptor,
    );
    expect(await idle.next()).toBeLessThan(50);
    queue.getSync();
    expect(await idle.next()).toBe('joined');
    await idle.clean();
    queue.closeSync();
  });

  test('shutdown, an abort and a close end it', async () => {
    const queue = attach<string>(describeQueue(type));
    queue.putSync('a');
    const abort = new AbortController();
    const aborted = queue.join({ signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    const joined = queue.join();
    await queue.shutdown({ immediate: true });
    await joined;
    const closed = attach<string>(describeQueue(type));
    closed.putSync('b');
    const waiting = errorOf(() => closed.join());
    closed.unlinkSync();
    closed.closeSync();
    expect((await waiting).code).toBe('ERR_QUEUE_CLOSED');
    queue.closeSync();
  });
});
