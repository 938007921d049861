/** node-ipc over its unix socket, parser 'fast' (the default): JSON, a delimiter between messages. */
import { createRequire } from 'node:module';
import { base64, fromBase64 } from './framing.mjs';

const require = createRequire(import.meta.url);

function missing() {
  try {
    require.resolve('node-ipc');
    return undefined;
  } catch {
    return 'npm install --prefix bench';
  }
}

/** A module of its own state for each end. */
async function module(run) {
  const { IPCModule } = await import('node-ipc');
  const ipc = new IPCModule();
  Object.assign(ipc.config, { id: 'bench', silent: true, socketRoot: `${run.directory}/`, appspace: '', retry: 20 });
  return ipc;
}

const path = (run) => `${run.directory}/bench`;

async function serve(run, onMessage) {
  const ipc = await module(run);
  await new Promise((resolve) => {
    ipc.serve(path(run), () => {
      ipc.server.on('item', (data, socket) => onMessage(data, socket, ipc.server));
      resolve();
    });
    ipc.server.start();
  });
  return ipc.server;
}

async function connect(run) {
  const ipc = await module(run);
  return new Promise((resolve) => {
    ipc.connectTo('bench', path(run), () => ipc.of.bench.on('connect', () => resolve(ipc.of.bench)));
  });
}

const drained = ({ socket }) => new Promise((resolve) => socket.once('drain', resolve));

export const variants = [
  {
    name: 'node-ipc',
    title: "node-ipc, unix socket, parser 'fast'",
    topologies: ['1-1', '4-1'],
    missing,
    async produce(run, source) {
      const client = await connect(run);
      const encode = base64(run.work);
      await source.go();
      while (source.more()) if (!client.emit('item', encode(source.next()))) await drained(client);
      for (let left = await source.done(); left > 0; left--) client.emit('item', encode(source.end));
      client.config.stopRetrying = true;
      await new Promise((resolve) => client.socket.end(resolve));
    },
    async consume(run, sink) {
      const decode = fromBase64(run.work);
      const server = await serve(run, (item) => sink.receive(decode(item)));
      // Each producer has a connection of its own: the end that one of them sends may overtake the items of another.
      await new Promise((resolve) => {
        let closed = 0;
        server.on('socket.disconnected', () => ++closed === run.producers && resolve());
        sink.ready();
      });
    },
    async ping(run, probe) {
      const client = await connect(run);
      const [encode, decode] = [base64(run.work), fromBase64(run.work)];
      await probe.go();
      await new Promise((resolve) => {
        client.on('item', (item) => {
          if (probe.stop(decode(item))) client.emit('item', encode(probe.start()));
          else resolve();
        });
        client.emit('item', encode(probe.start()));
      });
      client.socket.destroy();
    },
    async pong(run, { ready }) {
      await new Promise((resolve) => {
        serve(run, (item, socket, server) => {
          socket.once('close', resolve);
          server.emit(socket, 'item', item);
        }).then(ready);
      });
    },
  },
];
