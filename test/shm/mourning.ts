/** When exactly a process died, so that what others make of it can be timed from there. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder = '';
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'sage-queue-'))));
afterAll(() => rmSync(folder, { recursive: true }));

let fifos = 0;
/** A pipe with a name. Its readers learn of the death of its only writer from the kernel, as early as anybody can. */
export function makeFifo(): string {
  const path = join(folder, String(fifos++));
  execFileSync('mkfifo', [path]);
  return path;
}

/** `death`: resolves to the time at which the kernel told this process that the writer of the fifo is gone. */
const watchFifo = `
const { Worker } = require('node:worker_threads');
// In a thread of its own, so that a blocked main thread does not delay the word.
const words = new Float64Array(new SharedArrayBuffer(16));
const watchDeath = (fifo) => new Promise((resolve) => {
  const worker = new Worker(
    "const fs = require('node:fs'); const { words, fifo } = require('node:worker_threads').workerData;" +
    "const fd = fs.openSync(fifo, 'r'); require('node:worker_threads').parentPort.postMessage(1);" +
    "fs.readSync(fd, Buffer.alloc(1)); words[0] = Number(process.hrtime.bigint()) / 1e6;",
    { eval: true, workerData: { words, fifo } });
  worker.on('message', () => { worker.unref(); resolve(); });
});
// May be asked before the worker was scheduled: then the death is even later, and the bound holds all the more.
const deathMs = () => words[0] || now();
`;

export const survivorOf = (how: 'sync' | 'async'): string => `
  ${watchFifo}
  (async () => {
    const queue = open();
    const opened = watchDeath(given[0]);
    say('opening');
    await opened;
    say('asleep');
    const item = ${how === 'sync' ? 'queue.getSync()' : 'await queue.get()'};
    const at = now();
    say([item, at - deathMs()]);
    hear();
    queue.closeSync();
  })();`;
