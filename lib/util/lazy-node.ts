/** Parts of Node that take milliseconds to load and that few processes need: loaded when they are first asked for. */

/** To ask the loader again takes as long as to encode a small item. */
function lazily<T>(load: () => T): () => T {
  let loaded: T | undefined;
  return () => (loaded ??= load());
}

/* eslint-disable @typescript-eslint/no-require-imports */
export const nodeCrypto = lazily(() => require('node:crypto') as typeof import('node:crypto'));
export const nodeNet = lazily(() => require('node:net') as typeof import('node:net'));
export const nodeV8 = lazily(() => require('node:v8') as typeof import('node:v8'));
export const nodeWorkers = lazily(() => require('node:worker_threads') as typeof import('node:worker_threads'));
/* eslint-enable @typescript-eslint/no-require-imports */
