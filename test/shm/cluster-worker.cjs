// A cluster worker: adds up what it gets until the queue is shut down, and reports the sum.
const { resolveDescriptor } = require('sage-queue');

(async () => {
  const queue = resolveDescriptor(process.env.DESCRIPTOR);
  let sum = 0;
  for await (const item of queue) sum += item;
  queue.closeSync();
  process.send(sum, () => process.disconnect());
})();
