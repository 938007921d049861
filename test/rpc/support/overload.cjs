// One role of the slow-consumer test, as a process of its own on the built package.
const { QueueDescriptor, getRpcQueue } = require('sage-queue');
const [role, port] = process.argv.slice(2);
let count = 0;
process.on('message', () => {
  global.gc();
  process.send({ rss: process.memoryUsage().rss, count });
});
process.on('disconnect', () => process.exit());

async function server() {
  const { QueueServer } = require('sage-queue/rpc');
  const serving = new QueueServer({ queues: { q: QueueDescriptor.createLocalQueue('q', { maxsize: 1000 }) } });
  process.send({ port: (await serving.start()).port });
}

async function producer() {
  const queue = getRpcQueue('127.0.0.1', Number(port), 'q');
  for (;;) {
    await Promise.all(
      Array.from({ length: 200 }, async () => {
        await queue.put(Buffer.alloc(1024));
        count++;
      }),
    );
  }
}

async function consumer() {
  const queue = getRpcQueue('127.0.0.1', Number(port), 'q');
  for (;;) {
    await queue.get();
    count++;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

({ server, producer, consumer })[role]();
