/** zeromq.js over ipc: PUSH and PULL for streams, PAIR for round trips. */
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { decoder, encoder } from './framing.mjs';

const require = createRequire(import.meta.url);
function load() {
  try {
    return require('zeromq');
  } catch {
    return undefined;
  }
}
const zmq = load();
const address = (run) => `ipc://${run.directory}/zeromq`;

/** PUSH passes over a consumer whose queue is full: ends are sent until every consumer has had one. */
async function endAll(socket, end, over) {
  let left = true;
  const finished = over.then(() => (left = false));
  while (left) {
    // With no consumer left to take it, a send does not settle before the socket is closed.
    const sent = socket.send(end).catch(() => {});
    await Promise.race([finished, sent.then(() => sleep(5))]);
  }
}

export const variants = [
  {
    name: 'zeromq',
    title: 'zeromq.js, ipc, PUSH and PULL',
    topologies: ['1-1', '4-1', '1-4'],
    missing: () => (zmq === undefined ? 'npm install --prefix bench' : undefined),
    async produce(run, source) {
      const socket = new zmq.Push();
      if (run.consumers > 1) await socket.bind(address(run));
      else socket.connect(address(run));
      const encode = encoder(run.work);
      await source.go();
      while (source.more()) await socket.send(encode(source.next()));
      await source.done();
      if (run.consumers === 1) {
        // Items of several producers arrive in no common order, so each says its own end.
        await socket.send(encode(source.end));
        await source.over();
      } else await endAll(socket, encode(source.end), source.over());
      socket.linger = 0;
      socket.close();
    },
    async consume(run, sink) {
      const socket = new zmq.Pull();
      if (run.consumers > 1) socket.connect(address(run));
      else await socket.bind(address(run));
      const decode = decoder(run.work);
      sink.ready();
      let ends = 0;
      for await (const [bytes] of socket) if (!sink.receive(decode(bytes)) && ++ends === run.producers) break;
      socket.close();
    },
    async ping(run, probe) {
      const socket = new zmq.Pair();
      socket.connect(address(run));
      const encode = encoder(run.work);
      const decode = decoder(run.work);
      await probe.go();
      let bytes;
      do {
        await socket.send(encode(probe.start()));
        [bytes] = await socket.receive();
      } while (probe.stop(decode(bytes)));
      await socket.send(encode(probe.end));
      socket.close();
    },
    async pong(run, { ready }) {
      const socket = new zmq.Pair();
      await socket.bind(address(run));
      const decode = decoder(run.work);
      ready();
      for await (const [bytes] of socket) {
        const item = decode(bytes);
        if (item.length === 1 || item.end === true) break;
        await socket.send(bytes);
      }
      socket.close();
    },
  },
];
