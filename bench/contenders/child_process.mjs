/** Node's own channel between a process and the child it forked. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { base64, fromBase64 } from './framing.mjs';

const CHILD = fileURLToPath(new URL('../harness/child.mjs', import.meta.url));

const encoder = (serialization, work) => (serialization === 'json' ? base64(work) : (item) => item);
const decoder = (serialization, work) => {
  if (serialization === 'json') return fromBase64(work);
  if (work.kind !== 'bytes') return (item) => item;
  return (item) => Buffer.from(item.buffer, item.byteOffset, item.byteLength);
};

function forkPeer(run, role, serialization) {
  const child = fork(CHILD, [JSON.stringify({ ...run, role, index: 0 })], {
    serialization,
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
  });
  return child;
}

const variant = (serialization) => ({
  name: `child_process/${serialization}`,
  title: `child_process.fork, serialization '${serialization}'`,
  topologies: ['1-1'],
  pair: 'process',
  async produce(run, source) {
    const child = forkPeer(run, 'consume', serialization);
    const encode = encoder(serialization, run.work);
    // send() says false when its backlog is long; the callback of that message tells when it is gone.
    const send = (item) =>
      new Promise((resolve) => {
        if (child.send(encode(item), () => resolve())) resolve();
      });
    await source.go();
    while (source.more()) {
      let sent;
      const done = () => sent?.();
      if (!child.send(encode(source.next()), done)) await new Promise((resolve) => (sent = resolve));
    }
    for (let left = await source.done(); left > 0; left--) await send(source.end);
    await once(child, 'exit');
  },
  async consume(run, sink) {
    const decode = decoder(serialization, run.work);
    await new Promise((resolve) => {
      process.on('message', (item) => {
        if (!sink.receive(decode(item))) resolve();
      });
      sink.ready();
    });
  },
  async ping(run, probe) {
    const child = forkPeer(run, 'pong', serialization);
    const encode = encoder(serialization, run.work);
    const decode = decoder(serialization, run.work);
    await probe.go();
    await new Promise((resolve) => {
      child.on('message', (item) => {
        if (probe.stop(decode(item))) child.send(encode(probe.start()));
        else resolve();
      });
      child.send(encode(probe.start()));
    });
    child.disconnect();
  },
  async pong(_run, { ready }) {
    process.on('message', (item) => process.send(item));
    ready();
    await once(process, 'disconnect');
  },
});

export const variants = [variant('json'), variant('advanced')];
