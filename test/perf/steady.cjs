/** One process, rounds of 64 puts and 64 gets of 64 bytes: `node steady.cjs ROUNDS [WAY]`. Prints the heap bytes that a message took, and those of a Buffer. */
const { QueueDescriptor, resolveDescriptor } = require('sage-queue');

const rounds = Number(process.argv[2]);
const way = process.argv[3] ?? 'one by one';
const queue = resolveDescriptor(QueueDescriptor.createSageQueue(`steady-${process.pid}`));
const item = Buffer.alloc(64, 7);
let bytes = 0;
const batch = Array(64).fill(item);
const add = (view) => {
  bytes += view.length;
};
const round = {
  'one by one': () => {
    for (let count = 0; count < 64; count++) queue.putSync(item);
    for (let count = 0; count < 64; count++) bytes += queue.getSync().length;
  },
  'in batches': () => {
    queue.putManySync(batch);
    queue.getManySync(64).forEach(add);
  },
  'in place': () => {
    for (let count = 0; count < 64; count++) {
      const claim = queue.claimSync(64);
      claim.bytes.set(item);
      claim.commit();
    }
    queue.consumeSync(add, 64);
  },
}[way];
const memory = new ArrayBuffer(64);
const makeBuffers = () => {
  for (let count = 0; count < 64; count++) bytes += Buffer.from(memory, 0, 0).length;
};
/** Of one of the 64 that a round makes. */
function heapBytesOf(oneRound) {
  for (let count = 0; count < 2000; count++) oneRound();
  global.gc();
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < rounds; count++) oneRound();
  return (process.memoryUsage().heapUsed - before) / (rounds * 64);
}
const bufferBytes = heapBytesOf(makeBuffers);
const heapBytes = heapBytesOf(round);
const right = bytes === (rounds + 2000) * 64 * 64;
queue.unlinkSync();
queue.closeSync();
process.stdout.write(JSON.stringify({ heapBytes, bufferBytes, right }));
