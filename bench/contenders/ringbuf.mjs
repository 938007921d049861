/** ringbuf.js: a wait-free ring of bytes between two threads of one process. It has no waiting: a full or empty ring is tried again. */
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { Worker, workerData } from 'node:worker_threads';

const require = createRequire(import.meta.url);
function load() {
  try {
    return require('ringbuf.js');
  } catch {
    return undefined;
  }
}
const ringbuf = load();
const CHILD = new URL('../harness/child.mjs', import.meta.url);
const pause = new Int32Array(new SharedArrayBuffer(4));

/** A record is as long as an item; the end is a record whose producer byte says so. */
const END = 255;

export const variants = [
  {
    name: 'ringbuf.js',
    title: 'ringbuf.js, fixed records (threads, not processes)',
    topologies: ['1-1'],
    works: ['bytes'],
    pair: 'thread',
    missing: () => (ringbuf === undefined ? 'npm install --prefix bench' : undefined),
    async produce(run, source) {
      const bytes = run.work.bytes;
      const storage = ringbuf.RingBuffer.getStorageForCapacity(Math.max(4096 * 64, bytes * 16), Uint8Array);
      const ring = new ringbuf.RingBuffer(storage, Uint8Array);
      const worker = new Worker(CHILD, { workerData: { run: { ...run, role: 'consume', index: 0 }, storage } });
      const push = (item) => {
        while (ring.availableWrite() < bytes) Atomics.wait(pause, 0, 0, 0.02);
        ring.push(item);
      };
      await source.go();
      while (source.more()) push(source.next());
      if ((await source.done()) > 0) push(Buffer.alloc(bytes, END));
      await once(worker, 'exit');
    },
    async consume(run, sink) {
      const ring = new ringbuf.RingBuffer(workerData.storage, Uint8Array);
      const { bytes } = run.work;
      sink.ready();
      for (;;) {
        while (ring.availableRead() < bytes) Atomics.wait(pause, 0, 0, 0.02);
        const item = Buffer.allocUnsafe(bytes);
        ring.pop(item);
        if (item[3] === END) return;
        sink.receive(item);
      }
    },
  },
];
