// The queue type `rpc` beside its peers, on loopback, in one run: node bench/rpc.mjs [SECONDS_PER_CASE] [ROUNDS]
// Each case is one client process (this one) and one server process. The contenders take turns, a ratio is taken within one round, and
// medians over the rounds are printed, and as JSON in the last line.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

// The package and its peers as the package itself has them: this folder has a package.json of its own.
const require = createRequire(new URL('../package.json', import.meta.url));
const grpc = require('@grpc/grpc-js');
const protobuf = require('protobufjs');

const seconds = Number(process.argv[2] ?? 2);
const rounds = Number(process.argv[3] ?? 5);
const ITEM = Buffer.alloc(64, 0x61);
const BATCH = 4096;
const IN_FLIGHT = 64;
/** Batches under way in each direction. */
const AHEAD = 8;

// The same batches as the queue's own frames: repeated bytes.
const Batch = new protobuf.Type('Batch').add(new protobuf.Field('data', 1, 'bytes', 'repeated'));
new protobuf.Root().add(Batch);
const encode = (batch) => Batch.encode(batch).finish();
const decode = (bytes) => Batch.decode(bytes);
const method = (path, stream) => ({
  path,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});
const bare = { Stream: method('/bare/Stream', true), Unary: method('/bare/Unary', false) };
const options = { 'grpc-node.flow_control_window': 4 * 1024 * 1024, 'grpc.max_receive_message_length': -1 };

const roles = {
  async queue() {
    const { QueueDescriptor } = require('sage-queue');
    const { QueueServer } = require('sage-queue/rpc');
    const server = new QueueServer({ queues: { q: QueueDescriptor.createLocalQueue('q') } });
    return (await server.start()).port;
  },
  async bare() {
    const server = new grpc.Server(options);
    server.addService(bare, {
      Stream: (call) => {
        call.on('data', (batch) => call.write(batch));
        call.on('end', () => call.end());
      },
      Unary: (call, callback) => callback(null, call.request),
    });
    return new Promise((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
  },
};

const children = [];

async function startServer(role) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--role', role], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  const [port] = await once(child, 'message');
  return { port };
}

/** Repeats `round`, which returns how much it did, for the time of one case after a warm-up. @returns per second */
async function rate(round) {
  const warm = performance.now() + Math.min(1000, seconds * 300);
  while (performance.now() < warm) await round();
  const started = performance.now();
  let done = 0;
  while (performance.now() - started < seconds * 1000) done += await round();
  return (done / (performance.now() - started)) * 1000;
}

async function measure(name, round) {
  (results[name] ??= []).push(await rate(round));
}

/** IN_FLIGHT loops of `call`, each awaiting the one before. */
async function inFlight(total, call) {
  let left = total;
  const loop = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  return total;
}

/** Takes what one round put, with AHEAD batches asked for at a time. */
async function drain(take) {
  let got = 0;
  let asked = 0;
  const loop = async () => {
    while (asked < items.length) {
      asked += BATCH;
      const count = await take();
      got += count;
      asked -= BATCH - count;
    }
  };
  await Promise.all(Array.from({ length: AHEAD }, loop));
  return got;
}

const items = Array.from({ length: BATCH * 16 }, () => ITEM);
/** What a contender has open, kept over its turns so that each finds its code compiled. */
const opened = {};
/** By case: one rate for each round. */
const results = {};
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function ours() {
  const { getRpcQueue } = require('sage-queue');
  const queue = (opened.ours ??= getRpcQueue('127.0.0.1', (await startServer('queue')).port, 'q'));
  await measure('rpc: putMany + getMany, items/s', async () => {
    const putting = queue.putMany(items);
    const got = await drain(async () => (await queue.getMany(BATCH)).length);
    await putting;
    return got;
  });
  await measure('rpc: put, then get, 64 in flight, calls/s', async () => {
    const puts = await inFlight(4000, () => queue.put(ITEM));
    return puts + (await inFlight(4000, () => queue.get()));
  });
}

async function bareGrpc() {
  const client = (opened.bare ??= new grpc.Client(
    `127.0.0.1:${(await startServer('bare')).port}`,
    grpc.credentials.createInsecure(),
    options,
  ));
  const stream = client.makeBidiStreamRequest(bare.Stream.path, encode, decode);
  let expected = 0;
  let finished;
  stream.on('data', (batch) => {
    expected -= batch.data.length;
    if (expected === 0) finished();
  });
  const batch = items.slice(0, BATCH);
  await measure('bare stream of the same batches, items/s', async () => {
    expected = items.length;
    const done = new Promise((resolve) => (finished = resolve));
    for (let sent = 0; sent < items.length; sent += BATCH) stream.write({ data: batch });
    await done;
    return items.length;
  });
  stream.end();
  const one = { data: [ITEM] };
  const unary = () =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest(bare.Unary.path, encode, decode, one, (error, value) =>
        error ? reject(error) : resolve(value),
      ),
    );
  await measure('unary calls, 64 in flight, calls/s', () => inFlight(2000, unary));
}

async function startRedis(Redis) {
  const port = 20_000 + (process.pid % 20_000);
  children.push(
    spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
      stdio: 'ignore',
    }),
  );
  const client = new Redis({ port, host: '127.0.0.1', enableAutoPipelining: true, retryStrategy: () => 50 });
  client.on('error', () => {});
  await new Promise((resolve) => client.once('ready', resolve));
  return client;
}

async function redis() {
  if (spawnSync('redis-server', ['--version']).status !== 0) {
    console.log('redis-server is not installed: the comparison with a Redis list is left out.');
    return;
  }
  const { Redis } = require('ioredis');
  const client = (opened.redis ??= await startRedis(Redis));
  await measure('Redis list: RPUSH + LPOP of batches, items/s', async () => {
    const putting = (async () => {
      const pushes = [];
      for (let sent = 0; sent < items.length; sent += BATCH) {
        pushes.push(client.rpush('q', ...items.slice(0, BATCH)));
        if (pushes.length >= AHEAD) await pushes.shift();
      }
      await Promise.all(pushes);
    })();
    const got = await drain(async () => (await client.lpopBuffer('q', BATCH))?.length ?? 0);
    await putting;
    return got;
  });
  await measure('Redis list: RPUSH, then LPOP, 64 in flight, calls/s', async () => {
    const puts = await inFlight(4000, () => client.rpush('q', ITEM));
    return puts + (await inFlight(4000, () => client.lpopBuffer('q')));
  });
}

if (process.argv[2] === '--role') {
  process.on('disconnect', () => process.exit());
  process.send(await roles[process.argv[3]]());
} else {
  for (let round = 0; round < rounds; round++) for (const contender of [ours, bareGrpc, redis]) await contender();
  const of = (name) => Object.entries(results).find(([key]) => key.startsWith(name))?.[1] ?? [];
  const ratio = (name, other) => median(of(name).map((value, round) => value / of(other)[round]));
  const ratios = {
    'putMany + getMany / bare stream (to reach: 0.7)': ratio('rpc: putMany', 'bare stream'),
    'one by one / unary calls (to reach: 2)': ratio('rpc: put, then get', 'unary'),
    'putMany + getMany / Redis list in batches (to reach: 1)': ratio('rpc: putMany', 'Redis list: RPUSH + LPOP'),
    'one by one / Redis list one by one (to reach: 1)': ratio('rpc: put, then get', 'Redis list: RPUSH, then'),
  };
  for (const [name, value] of Object.entries(results))
    console.log(`${Math.round(median(value)).toLocaleString('en').padStart(12)}  ${name}`);
  for (const [name, value] of Object.entries(ratios))
    if (!Number.isNaN(value)) console.log(`${value.toFixed(2).padStart(12)}  ${name}`);
  console.log(
    JSON.stringify({
      node: process.version,
      cpu: cpus()[0].model,
      cores: cpus().length,
      date: new Date().toISOString(),
      seconds,
      rounds,
      results,
      ratios,
    }),
  );
  for (const child of children) child.kill('SIGKILL');
  process.exit();
}
