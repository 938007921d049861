/**
 * One process of awaited calls that are answered at once: `bytes` or `objects` by get(), or a `loop`, of a shared queue; or a `stream` of a local one. What it prints
 * is V8's own account of what it compiles meanwhile.
 */
const { getLocalQueue, getSageQueue } = require('sage-queue');

const ITEMS = 256;
const ROUNDS = 200;

const kind = process.argv[2];
const queue = kind === 'stream' ? getLocalQueue('promised') : getSageQueue(`promised-${process.pid}`);
const items = Array.from({ length: ITEMS }, (_, number) =>
  kind === 'bytes' || kind === 'loop' ? Buffer.alloc(64, number) : { number },
);

(async () => {
  const stream = kind === 'stream' ? queue.readable() : undefined;
  const iterator = (stream ?? (kind === 'loop' ? queue : undefined))?.[Symbol.asyncIterator]();
  for (let round = 0; round < ROUNDS; round++) {
    await queue.putMany(items);
    for (let count = 0; count < ITEMS; count++) await (iterator === undefined ? queue.get() : iterator.next());
  }
  stream?.destroy();
  queue.unlinkSync?.();
  await queue.close();
})();
