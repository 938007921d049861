/** One process, rounds of awaited puts and gets of 64 bytes that are answered at once. Prints what one put and one get take of the heap, and in which order microtasks ran. */
const { getSageQueue } = require('sage-queue');

// Many calls between two looks: the engine counts what it hands out in pages of 256 KiB, so that a page begun is 13 bytes of each call.
const CALLS = 20_000;
const queue = getSageQueue(`awaited-${process.pid}`, { maxsize: CALLS });
const item = Buffer.alloc(64, 7);
async function puts(count) {
  for (let index = 0; index < count; index++) await queue.put(item);
}
async function gets(count) {
  for (let index = 0; index < count; index++) await queue.get();
}
async function heapOf(call, count) {
  global.gc();
  const before = process.memoryUsage().heapUsed;
  await call(count);
  return (process.memoryUsage().heapUsed - before) / count;
}
const median = (numbers) => numbers.sort((a, b) => a - b)[(numbers.length - 1) / 2];

(async () => {
  for (let round = 0; round < 3000; round++) {
    await puts(64);
    await gets(64);
  }
  // The engine compiles beside it, and takes of the same heap now and then.
  const [put, get] = [[], []];
  for (let round = 0; round < 9; round++) {
    put.push(await heapOf(puts, CALLS));
    get.push(await heapOf(gets, CALLS));
  }
  const order = [];
  const note = (what) => () => void order.push(what);
  await queue.put(item);
  await Promise.all([
    queue.get().then(note('get')),
    queue.put(item).then(note('put')),
    Promise.resolve().then(note('the next microtask')),
  ]);
  queue.unlinkSync();
  queue.closeSync();
  process.stdout.write(JSON.stringify({ put: median(put), get: median(get), order }));
})();
