/** MessagePort between two threads of one process. It has no backpressure of its own, so the reader grants credit. */
import { once } from 'node:events';
import { Worker, parentPort } from 'node:worker_threads';

const CHILD = new URL('../harness/child.mjs', import.meta.url);
const CREDIT = 4096;

const startPeer = (run, role) => new Worker(CHILD, { workerData: { run: { ...run, role, index: 0 } } });
const asBuffer = (work) =>
  work.kind !== 'bytes' ? (item) => item : (item) => Buffer.from(item.buffer, item.byteOffset, item.byteLength);

export const variants = [
  {
    name: 'worker_threads',
    title: 'worker_threads MessagePort (threads, not processes)',
    topologies: ['1-1'],
    pair: 'thread',
    async produce(run, source) {
      const worker = startPeer(run, 'consume');
      const limit = Math.max(16, Math.min(CREDIT, Math.floor((16 * 1024 * 1024) / (run.work.bytes ?? 64))));
      let credit = limit;
      let granted;
      worker.on('message', (count) => {
        credit += count;
        granted?.();
      });
      await source.go();
      while (source.more()) {
        while (credit === 0) await new Promise((resolve) => (granted = resolve));
        credit--;
        worker.postMessage(source.next());
      }
      for (let left = await source.done(); left > 0; left--) worker.postMessage(source.end);
      await once(worker, 'exit');
    },
    async consume(run, sink) {
      const decode = asBuffer(run.work);
      const limit = Math.max(16, Math.min(CREDIT, Math.floor((16 * 1024 * 1024) / (run.work.bytes ?? 64))));
      const grant = limit / 4;
      let taken = 0;
      await new Promise((resolve) => {
        parentPort.on('message', (item) => {
          if (++taken === grant) {
            parentPort.postMessage(taken);
            taken = 0;
          }
          if (!sink.receive(decode(item))) resolve();
        });
        sink.ready();
      });
      parentPort.close();
    },
    async ping(run, probe) {
      const worker = startPeer(run, 'pong');
      const decode = asBuffer(run.work);
      await probe.go();
      await new Promise((resolve) => {
        worker.on('message', (item) => {
          if (probe.stop(decode(item))) worker.postMessage(probe.start());
          else resolve();
        });
        worker.postMessage(probe.start());
      });
      await worker.terminate();
    },
    async pong(_run, { ready }) {
      parentPort.on('message', (item) => parentPort.postMessage(item));
      ready();
      await once(parentPort, 'close');
    },
  },
];
