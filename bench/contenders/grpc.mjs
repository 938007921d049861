/** Bare `@grpc/grpc-js` on loopback: one stream per producer, one message each; a bidirectional stream for round trips. */
import { createRequire } from 'node:module';
import { decoder, encoder } from './framing.mjs';

const require = createRequire(import.meta.url);
function load() {
  try {
    return require('@grpc/grpc-js');
  } catch {
    return undefined;
  }
}
const grpc = load();

const same = (bytes) => bytes;
const method = {
  path: '/bench/Stream',
  requestStream: true,
  responseStream: true,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

async function serve(run, onCall) {
  const server = new grpc.Server(options);
  server.addService({ Stream: method }, { Stream: onCall });
  await new Promise((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${run.port}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  return server;
}

function open(run) {
  const client = new grpc.Client(`127.0.0.1:${run.port}`, grpc.credentials.createInsecure(), options);
  return { client, stream: client.makeBidiStreamRequest(method.path, same, same) };
}

export const variants = [
  {
    name: 'grpc',
    title: 'bare @grpc/grpc-js, a stream of messages',
    topologies: ['1-1', '4-1'],
    needsPort: true,
    missing: () => (grpc === undefined ? 'npm install' : undefined),
    async produce(run, source) {
      const { client, stream } = open(run);
      const encode = encoder(run.work);
      const closed = new Promise((resolve) => stream.on('end', resolve));
      stream.resume();
      await source.go();
      while (source.more()) {
        if (!stream.write(encode(source.next()))) await new Promise((resolve) => stream.once('drain', resolve));
      }
      for (let left = await source.done(); left > 0; left--) stream.write(encode(source.end));
      stream.end();
      await closed;
      client.close();
    },
    async consume(run, sink) {
      const decode = decoder(run.work);
      let server;
      await new Promise((resolve, reject) => {
        let ended = 0;
        serve(run, (call) => {
          call.on('data', (bytes) => sink.receive(decode(bytes)));
          call.on('end', () => {
            call.end();
            if (++ended === run.producers) resolve();
          });
        }).then((started) => {
          server = started;
          sink.ready();
        }, reject);
      });
      server.forceShutdown();
    },
    async ping(run, probe) {
      const { client, stream } = open(run);
      const encode = encoder(run.work);
      const decode = decoder(run.work);
      await probe.go();
      await new Promise((resolve) => {
        stream.on('data', (bytes) => {
          if (probe.stop(decode(bytes))) stream.write(encode(probe.start()));
          else resolve();
        });
        stream.write(encode(probe.start()));
      });
      stream.end();
      client.close();
    },
    async pong(run, { ready }) {
      let server;
      await new Promise((resolve, reject) => {
        serve(run, (call) => {
          call.on('data', (bytes) => call.write(bytes));
          call.on('end', () => {
            call.end();
            resolve();
          });
        }).then((started) => {
          server = started;
          ready();
        }, reject);
      });
      server.forceShutdown();
    },
  },
];
