/** The role of a producer: the queue ends with the last of them, and never as if it were whole when one of them died. */
import { attach, attachSage, describeQueue, errorOf, segmentFiles, start, types, until } from './child';

const one = { producer: true } as const;

/** A program that has a producer in a thread, does `inside` there, and `outside` with the `thread`. */
const inThread = (inside: string, outside: string): string => `
  const { Worker } = require('node:worker_threads');
  const thread = new Worker(\`
    const { workerData, parentPort } = require('node:worker_threads');
    const wait = () => setInterval(() => {}, 1e6);
    const queue = require('sage-queue').resolveDescriptor(workerData, { producer: true });
    queue.putSync(1);
    ${inside}\`, { eval: true, workerData: descriptor });
  ${outside}`;

describe.each(types)('%s', (type) => {
  test('readers end when the third of three has closed, having read all, and not before', async () => {
    const descriptor = describeQueue(type);
    const reader = attach<number>(descriptor);
    const read: number[] = [];
    const reading = (async () => {
      for await (const item of reader) read.push(item);
    })();
    const of3 = { producer: { expect: 3 } };
    const first = attach<number>(descriptor, of3);
    first.putSync(1);
    first.closeSync(); // before the second came
    const second = attach<number>(descriptor, of3);
    second.putSync(2);
    await until('both are read', () => read.length === 2);
    second.closeSync();
    const bystander = attach<number>(descriptor);
    bystander.putSync(9);
    bystander.closeSync();
    const third = attach<number>(descriptor, of3);
    await until('it is read', () => read.length === 3);
    third.putSync(3);
    third.closeSync();
    await reading;
    expect(read).toEqual([1, 2, 9, 3]);
    expect((await errorOf(() => attach(descriptor, one))).code).toBe('ERR_QUEUE_SHUT_DOWN');
    expect((await errorOf(() => reader.put(4))).code).toBe('ERR_QUEUE_SHUT_DOWN');
    reader.closeSync();
  });

  test('the end comes within 100 ms of the close, wherever the machine lets it', async () => {
    let soonest = Infinity;
    for (let round = 0; round < 10 && soonest > 100; round++) {
      const descriptor = describeQueue(type);
      const reader = attach<number>(descriptor);
      const ended = errorOf(() => reader.get());
      const producer = start(
        `const queue = open({ producer: true }); say(1); hear(); say(Date.now()); queue.closeSync();`,
        descriptor,
      );
      await producer.next();
      producer.tell(1);
      const closedAt = (await producer.next()) as number;
      expect((await ended).code).toBe('ERR_QUEUE_SHUT_DOWN');
      soonest = Math.min(soonest, Date.now() - closedAt);
      reader.closeSync();
      await producer.clean();
    }
    expect(soonest).toBeLessThanOrEqual(100);
  });

  test('producers that left before any reader came still tell it the end, and the queue goes after that', async () => {
    const descriptor = describeQueue(type);
    const producer = attach<number>(descriptor, one);
    producer.closeSync();
    expect(segmentFiles()).toHaveLength(1);
    const reader = attach<number>(descriptor);
    expect((await errorOf(() => reader.get({ timeoutMs: 1000 }))).code).toBe('ERR_QUEUE_SHUT_DOWN');
    reader.closeSync();
    expect(segmentFiles()).toEqual([]);
  });

  test('one that was killed: readers drain, and then are told', async () => {
    const descriptor = describeQueue(type);
    const reader = attach<number>(descriptor);
    const child = start(
      `const queue = open({ producer: true }); queue.putManySync([1, 2]); say(1); hear();`,
      descriptor,
    );
    await child.next();
    const read: number[] = [];
    const reading = errorOf(async () => {
      for await (const item of reader) read.push(item);
    });
    await until('what there is, is read', () => read.length === 2);
    const killed = Date.now();
    await child.kill();
    expect((await reading).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    expect(Date.now() - killed).toBeLessThan(5000);
    expect((await errorOf(() => reader.getSync({ block: false }))).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    reader.closeSync();
  });

  test('one of two was killed: the end comes with the other, and says so', async () => {
    const descriptor = describeQueue(type);
    const of2 = { producer: { expect: 2 } };
    const child = start(
      `const queue = open({ producer: { expect: 2 } }); queue.putSync(1); say(1); hear();`,
      descriptor,
    );
    await child.next();
    const other = attach<number>(descriptor, of2);
    await child.kill();
    const reader = attach<number>(descriptor);
    expect(await reader.get()).toBe(1);
    await expect(reader.get({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
    other.putSync(2);
    other.closeSync();
    expect(await reader.get()).toBe(2);
    await expect(reader.get()).rejects.toMatchObject({ code: 'ERR_QUEUE_PRODUCER_LOST' });
    reader.closeSync();
  });

  test('a reader whose finder of the dead was killed as well is told, too', async () => {
    const descriptor = describeQueue(type);
    const reader = attach<number>(descriptor);
    const reading = errorOf(() => reader.get());
    const producer = start(`const queue = open({ producer: true }); say(1); hear();`, descriptor);
    const watcher = start(`const queue = open(); queue.get().catch(() => {}); say(1);`, descriptor);
    await Promise.all([producer.next(), watcher.next()]);
    await Promise.all([producer.kill(), watcher.kill()]);
    expect((await reading).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    reader.closeSync();
  });

  test.each([
    ['an uncaught exception', `throw new Error('half way');`],
    ['an unhandled rejection', `Promise.reject(new Error('half way'));`],
    ['process.exit(1)', `process.exit(1);`],
    ['process.exit(0)', `process.exit(0);`],
    ['the end of its program', ``],
    [
      'an exception in its thread',
      inThread(`queue.putSync(3); throw new Error('half way');`, `thread.on('error', () => {}); wait();`),
    ],
    [
      'the end of its thread from outside',
      inThread(`parentPort.postMessage(1); wait();`, `thread.on('message', () => thread.terminate()); wait();`),
    ],
  ])('%s without close() is a loss', async (_how, end) => {
    const descriptor = describeQueue(type);
    const reader = attach<number>(descriptor);
    const child = start(
      `const wait = () => setInterval(() => {}, 1e6);
      const queue = ${end.includes('Worker') ? 'undefined' : 'open({ producer: true })'};
      queue?.putSync(1); say(1); hear(); ${end}`,
      descriptor,
    );
    await child.next();
    const read: number[] = [];
    const reading = errorOf(async () => {
      for await (const item of reader) read.push(item);
    });
    child.tell(1);
    expect((await reading).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    expect(read[0]).toBe(1);
    await child.kill();
    expect((await errorOf(() => reader.getSync({ block: false }))).code).toBe('ERR_QUEUE_PRODUCER_LOST');
    reader.closeSync();
  });

  test('an explicit shutdown is an end like any other, whatever becomes of producers', async () => {
    const descriptor = describeQueue(type);
    const [producer, reader] = [attach<number>(descriptor, one), attach<number>(descriptor)];
    producer.putSync(1);
    await producer.shutdown();
    expect(await reader.get()).toBe(1);
    await expect(reader.get()).rejects.toMatchObject({ code: 'ERR_QUEUE_SHUT_DOWN' });
    producer.closeSync();
    reader.closeSync();
  });
});

test('who reads in place is told of a producer that was killed, too', async () => {
  const descriptor = describeQueue('sage_queue');
  const reader = attachSage(descriptor);
  const child = start(
    `const queue = open({ producer: true }); queue.putSync(Buffer.alloc(9)); say(1); hear();`,
    descriptor,
  );
  await child.next();
  await child.kill();
  const read: number[] = [];
  expect(reader.consumeSync((view) => void read.push(view.length), 9)).toBe(1);
  expect(read).toEqual([9]);
  const ended = await errorOf(() => reader.consumeSync(() => {}, 1, { timeoutMs: 5000 }));
  expect(ended.code).toBe('ERR_QUEUE_PRODUCER_LOST');
  reader.closeSync();
});
