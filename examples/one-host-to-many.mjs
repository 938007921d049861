/**
 * One descriptor for both: shared memory on the owner's host, the network everywhere else.
 *   npm install @grpc/grpc-js && node one-host-to-many.mjs
 */
import { QueueDescriptor, resolveDescriptor } from 'sage-queue';
import { QueueServer } from 'sage-queue/rpc';

const id = `everywhere-${process.pid}`;
// The owner serves its queue. Beyond loopback this wants `tls` (and a `token`, unless everybody may use it).
const server = new QueueServer({ queues: { [id]: QueueDescriptor.createSageQueue(id) } });
const { port } = await server.start();
const descriptor = QueueDescriptor.createAutoQueue(id, { rpc: { serverAddress: '127.0.0.1', port } });

const here = resolveDescriptor(descriptor);
await here.put('through shared memory');

// Another host gets the same text. What it makes of it can be seen here by pretending to have been made elsewhere.
const { metadata, ...rest } = JSON.parse(JSON.stringify(descriptor));
const elsewhere = resolveDescriptor({ ...rest, metadata: { ...metadata, owner_boot_id: 'of another machine' } });
await elsewhere.put('through the network');

for (const queue of [here, elsewhere]) console.log((await queue.stats()).queueType);
console.log(await elsewhere.get());
console.log(await here.get());
await Promise.all([here.close(), elsewhere.close()]);
await server.stop();
