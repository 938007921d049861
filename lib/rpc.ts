/// <reference types="node" preserve="true" />
export { QueueServer } from './server/queue-server';
export type { Right, TokenRights } from './server/access';
export type { QueueServerOptions } from './server/queue-server';
export { RpcQueue } from './transports/rpc/client/rpc-queue';
