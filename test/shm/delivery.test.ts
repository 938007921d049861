import { History } from '../history/check-history.cjs';
import { attach, describeQueue, start, types } from './child';

const MILLION = 1_000_000;

/** Items are [producer, number]; what was received must be each producer's numbers, once, and in order per consumer. */
function check(received: Int32Array[], producers: number, each: number): void {
  const history = new History();
  for (let producer = 0; producer < producers; producer++) history.ack(String(producer), 0, each);
  for (const [receiver, items] of received.entries()) {
    for (let at = 0; at < items.length; at += 2) {
      history.got(String(receiver), String(items[at]), items[at + 1]!, items[at + 1]! + 1);
    }
  }
  expect(history.result().problems).toEqual([]);
}

describe.each(types)('%s', (type) => {
  test('1 → 1 with a million numbered items: complete and in order', async () => {
    const descriptor = describeQueue(type);
    const keeper = attach(descriptor);
    const producer = start(
      `const queue = open();
      let next = 0;
      while (next < given[0]) {
        if (next % 3 === 0) queue.putSync(next++);
        else { const batch = []; while (batch.length < 50 && next < given[0]) batch.push(next++); queue.putManySync(batch); }
      }
      queue.closeSync();`,
      descriptor,
      [MILLION],
    );
    const consumer = start(
      `const queue = open();
      let next = 0;
      let wrong = 0;
      while (next < given[0]) {
        if (next % 5 === 0) { if (queue.getSync() !== next++) wrong++; }
        else for (const item of queue.getManySync(64)) if (item !== next++) wrong++;
      }
      say([next, wrong, queue.qsizeSync()]);
      queue.closeSync();`,
      descriptor,
      [MILLION],
    );
    expect(await consumer.clean()).toEqual([[MILLION, 0, 0]]);
    await producer.clean();
    expect(await keeper.stats()).toMatchObject({ putTotal: MILLION, getTotal: MILLION, qsize: 0, redelivered: 0 });
    keeper.closeSync();
  });

  test.each([
    ['sync', 50_000],
    ['await', 10_000],
  ])('4 producers × 4 consumers (%s): nothing lost, nothing twice, order per producer', async (how, each) => {
    const descriptor = describeQueue(type, { maxsize: 257 });
    const keeper = attach(descriptor);
    const producers = [0, 1, 2, 3].map((index) =>
      start(
        `(async () => {
          const [how, index, each] = given;
          const queue = open();
          for (let number = 0; number < each;) {
            const item = () => { const bytes = Buffer.alloc(8 + number % 120); bytes.writeInt32LE(index); bytes.writeInt32LE(number++, 4); return bytes; };
            if (number % 97 === 0) {
              const batch = [];
              while (batch.length < 10 && number < each) batch.push(item());
              if (how === 'sync') queue.putManySync(batch); else await queue.putMany(batch);
            } else if (how === 'sync') queue.putSync(item()); else await queue.put(item());
          }
          queue.closeSync();
        })();`,
        descriptor,
        [how, index, each],
      ),
    );
    const consumers = [0, 1, 2, 3].map((index) =>
      start(
        `(async () => {
          const [how, index] = given;
          const queue = open();
          const got = [];
          const add = (bytes) => got.push(bytes.readInt32LE(0), bytes.readInt32LE(4));
          try {
            for (;;) {
              if (how === 'sync') { if (index % 2) add(queue.getSync()); else queue.getManySync(16).forEach(add); }
              else if (index % 2) add(await queue.get()); else (await queue.getMany(16)).forEach(add);
            }
          } catch (error) { if (error.code !== 'ERR_QUEUE_SHUT_DOWN') throw error; }
          queue.closeSync();
          say(Buffer.from(Int32Array.from(got).buffer).toString('base64'));
        })();`,
        descriptor,
        [how, index],
      ),
    );
    await Promise.all(producers.map((producer) => producer.clean()));
    await keeper.shutdown();
    const lines = (await Promise.all(consumers.map((consumer) => consumer.clean()))).flat() as string[];
    const received = lines.map((line) => {
      const bytes = Buffer.from(line, 'base64');
      return Int32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readInt32LE(4 * index));
    });
    check(received, 4, each);
    keeper.closeSync();
  });
});
