/** Parts of Node that take milliseconds to load and that few processes need: loaded when they are first asked for. */
/* eslint-disable @typescript-eslint/no-require-imports */
export const nodeCrypto = (): typeof import('node:crypto') => require('node:crypto') as typeof import('node:crypto');
export const nodeNet = (): typeof import('node:net') => require('node:net') as typeof import('node:net');
export const nodeV8 = (): typeof import('node:v8') => require('node:v8') as typeof import('node:v8');
export const nodeWorkers = (): typeof import('node:worker_threads') =>
  require('node:worker_threads') as typeof import('node:worker_threads');
/* eslint-enable @typescript-eslint/no-require-imports */
