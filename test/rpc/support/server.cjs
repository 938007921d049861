// A server process on the built package: node server.cjs PORT QUEUE_TYPE NAME
const { QueueDescriptor } = require('sage-queue');
const { QueueServer } = require('sage-queue/rpc');
const [port, type, name] = process.argv.slice(2);
const behind =
  type === 'sage_queue'
    ? QueueDescriptor.createSageQueue(name, { maxsize: 0, capacityBytes: 8 << 20 })
    : QueueDescriptor.createShmQueue(name, name, { maxsize: 0, capacityBytes: 8 << 20 });
const server = new QueueServer({ port: Number(port), queues: { q: behind } });
server.start().then((bound) => process.send(bound));
process.on('message', async () => {
  await server.stop();
  process.disconnect();
});
