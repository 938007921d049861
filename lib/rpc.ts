export { QueueServer } from './queues/rpc/server/queue-server';
export type { QueueServerOptions } from './queues/rpc/server/queue-server';
export { RpcQueue } from './queues/rpc/rpc-queue';
