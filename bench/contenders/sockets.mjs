/** Length-framed streams between processes: a unix socket and TCP on the loopback address. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { FrameWriter, decoder, encoder, readFrames } from './framing.mjs';

/** Where the consumer listens. */
const endpoint = (kind, run) =>
  kind === 'unix' ? { path: `${run.directory}/socket` } : { host: '127.0.0.1', port: run.port };

async function listen(kind, run, onSocket) {
  const server = createServer({ noDelay: true }, onSocket);
  server.listen(endpoint(kind, run));
  await once(server, 'listening');
  return server;
}

async function open(kind, run) {
  const socket = connect({ ...endpoint(kind, run), noDelay: true });
  await once(socket, 'connect');
  return socket;
}

const writers = {
  /** On its way when the call returns, as a put is: one write per message. */
  plain: (socket) => new FrameWriter(socket, 1),
  /** Sent when 64 are together. */
  corked: (socket) => new FrameWriter(socket, 64),
  coalesced: (socket) => new CoalescingWriter(socket),
};

const variant = (kind, name, title, style) => ({
  name,
  title,
  topologies: ['1-1', '4-1'],
  needsPort: kind === 'tcp',
  async produce(run, source) {
    const socket = await open(kind, run);
    const encode = encoder(run.work);
    const writer = writers[style](socket);
    await source.go();
    while (source.more()) {
      if (!writer.write(encode(source.next()))) await writer.drained();
    }
    writer.flush();
    const ends = await source.done();
    for (let left = ends; left > 0; left--) writer.write(encode(source.end));
    writer.flush();
    await new Promise((resolve) => socket.end(resolve));
  },
  async consume(run, sink) {
    const decode = decoder(run.work);
    await new Promise((resolve, reject) => {
      listen(kind, run, (socket) => {
        readFrames(socket, (bytes) => sink.receive(decode(bytes)));
        socket.on('close', () => ++closed === run.producers && resolve());
      }).then(() => sink.ready(), reject);
      let closed = 0;
    });
  },
  async ping(run, probe) {
    const socket = await open(kind, run);
    const encode = encoder(run.work);
    const decode = decoder(run.work);
    const writer = writers.plain(socket);
    const send = (item) => {
      writer.write(encode(item));
    };
    await probe.go();
    await new Promise((resolve) => {
      readFrames(socket, (bytes) => {
        if (probe.stop(decode(bytes))) send(probe.start());
        else resolve();
      });
      send(probe.start());
    });
    socket.destroy();
  },
  async pong(run, { ready }) {
    await new Promise((resolve) => {
      listen(kind, run, (socket) => {
        const writer = writers.plain(socket);
        readFrames(socket, (bytes) => {
          writer.write(bytes);
        });
        socket.on('close', resolve).on('error', resolve);
      }).then(ready);
    });
  },
});

/** What an author can do who sees every message before any is due: many are copied into one chunk, and that is written. */
class CoalescingWriter {
  #chunk = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;

  constructor(socket) {
    this.socket = socket;
  }

  write(payload) {
    const length = payload.length + 4;
    let room = true;
    if (this.#used + length > this.#chunk.length) room = this.flush();
    if (length > this.#chunk.length) {
      const header = Buffer.allocUnsafe(4);
      header.writeUInt32LE(payload.length, 0);
      this.socket.write(header);
      return this.socket.write(payload);
    }
    this.#chunk.writeUInt32LE(payload.length, this.#used);
    payload.copy(this.#chunk, this.#used + 4);
    this.#used += length;
    return room;
  }

  flush() {
    if (this.#used === 0) return true;
    const room = this.socket.write(this.#chunk.subarray(0, this.#used));
    this.#chunk = Buffer.allocUnsafeSlow(64 * 1024);
    this.#used = 0;
    return room;
  }

  drained() {
    return new Promise((resolve) => this.socket.once('drain', resolve));
  }
}

export const variants = [
  variant('unix', 'unix_socket', 'unix socket, length-framed, one write per message', 'plain'),
  variant('unix', 'unix_socket_corked', 'unix socket, length-framed, 64 messages corked together', 'corked'),
  variant(
    'unix',
    'unix_socket_coalesced',
    'unix socket, length-framed, messages copied into 64 KiB writes',
    'coalesced',
  ),
  variant('tcp', 'tcp_loopback', 'TCP on loopback, length-framed, one write per message', 'plain'),
];
