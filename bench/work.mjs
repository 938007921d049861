/**
 * What work on queues costs, beside what one would take instead: leases by the batch, readable(), consume, request and reply.
 *   node bench/work.mjs [--rounds 5] [--only NAME]
 * BullMQ (a local redis-server is started), piscina and zeromq are in bench/package.json: `npm ci` there first; one that is missing is left out.
 * The rows take turns. Each line is the median of the rounds with their least and largest, and what it has to reach.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { QueueDescriptor, resolveDescriptor } = require('./harness/package.cjs');
const { caller, consume } = require('../dist/work.js');

const { values: given } = parseArgs({ options: { rounds: { type: 'string' }, only: { type: 'string' } } });
const rounds = Number(given.rounds ?? 5);
const CHILD = fileURLToPath(new URL('harness/work-child.mjs', import.meta.url));

const optional = (name) => {
  try {
    return require(name);
  } catch {
    return undefined;
  }
};

let made = 0;
const fresh = (options = {}) =>
  QueueDescriptor.createSageQueue(`bench-work-${process.pid}-${made++}`, {
    maxsize: 0,
    capacityBytes: 16 * 1024 * 1024,
    ...options,
  });

async function withQueue(body, options) {
  const queue = resolveDescriptor(fresh(options));
  try {
    return await body(queue);
  } finally {
    queue.unlinkSync();
    queue.closeSync();
  }
}

const ITEM = Buffer.alloc(64, 1);
const ITEMS = 100_000;

/** Items a second of a loop over a queue that is full of them. */
const draining = (body) => () =>
  withQueue(async (queue) => {
    await queue.putMany(Array.from({ length: ITEMS }, () => ITEM));
    const began = performance.now();
    await body(queue);
    return (ITEMS * 1000) / (performance.now() - began);
  });

const getMany = draining(async (queue) => {
  for (let got = 0; got < ITEMS;) got += (await queue.getMany(64)).length;
});
const leaseMany = draining(async (queue) => {
  for (let got = 0; got < ITEMS;) {
    const batch = await queue.leaseMany(64);
    got += batch.items.length;
    await batch.ack();
  }
});
const lease = draining(async (queue) => {
  for (let got = 0; got < ITEMS; got++) await (await queue.lease()).ack();
});
const readable = draining(async (queue) => {
  let got = 0;
  for await (const _item of queue.readable()) if (++got === ITEMS) break;
});
const consuming = (concurrency) =>
  draining(async (queue) => {
    const all = new AbortController();
    let handled = 0;
    const handler = () => {
      if (++handled === ITEMS) all.abort();
    };
    const consumer = consume(queue, handler, { concurrency, signal: all.signal });
    await consumer.done;
  });

// ── BullMQ ─────────────────────────────────────────────────────────────────

const BULL_JOBS = 10_000;

async function withRedis(body) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-redis-'));
  const socket = join(folder, 'redis.sock');
  const server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    for await (const text of server.stdout.setEncoding('utf8')) if (/ready to accept/i.test(text)) break;
    return await body({ path: socket, maxRetriesPerRequest: null });
  } finally {
    server.kill();
    await once(server, 'close');
    rmSync(folder, { recursive: true });
  }
}

const bullmq = async () => {
  const bull = optional('bullmq');
  if (bull === undefined) return undefined;
  return withRedis(async (connection) => {
    const queue = new bull.Queue('bench', { connection });
    for (let at = 0; at < BULL_JOBS; at += 1000)
      await queue.addBulk(
        Array.from({ length: 1000 }, () => ({ name: 'job', data: 1, opts: { removeOnComplete: true } })),
      );
    const began = performance.now();
    let done = 0;
    const worker = new bull.Worker('bench', async () => {}, { connection, concurrency: 64 });
    await new Promise((resolve) => worker.on('completed', () => ++done === BULL_JOBS && resolve()));
    const perSecond = (BULL_JOBS * 1000) / (performance.now() - began);
    await worker.close();
    await queue.close();
    return perSecond;
  });
};

// ── request and reply ──────────────────────────────────────────────────────

const CALLS = 10_000;

/** Calls a second with so many under way. */
async function calls(call, atOnce) {
  const line = async (count) => {
    for (let n = 0; n < count; n++) await call(n);
  };
  await line(200);
  const began = performance.now();
  await Promise.all(Array.from({ length: atOnce }, () => line(CALLS / atOnce)));
  return (CALLS * 1000) / (performance.now() - began);
}

async function withChild(role, args, body) {
  const child = spawn(process.execPath, [CHILD, role, ...args.map((arg) => JSON.stringify(arg))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    return await body();
  } finally {
    child.kill();
    await once(child, 'close');
  }
}

const calling = (atOnce) => () =>
  withQueue((queue) =>
    withChild('serve', [queue.descriptor], async () => {
      const one = caller(queue);
      try {
        return await calls((n) => one.call(n), atOnce);
      } finally {
        await one.close();
      }
    }),
  );

/** The same way without anything around it: a queue there, a queue back, awaited one at a time. */
const roundTrip = () =>
  withQueue((there) =>
    withQueue((back) =>
      withChild('echo', [there.descriptor, back.descriptor], () =>
        calls(async (n) => {
          await there.put(n);
          await back.get();
        }, 1),
      ),
    ),
  );

const piscina = (atOnce) => async () => {
  const found = optional('piscina');
  if (found === undefined) return undefined;
  const Piscina = found.default ?? found.Piscina ?? found;
  const pool = new Piscina({
    filename: fileURLToPath(new URL('harness/echo-task.cjs', import.meta.url)),
    maxThreads: 1,
    minThreads: 1,
  });
  try {
    return await calls((n) => pool.run(n), atOnce);
  } finally {
    await pool.destroy();
  }
};

/** Dealer and router, so that more than one may be under way. */
const zeromq = (atOnce) => async () => {
  const zmq = optional('zeromq');
  if (zmq === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'bench-zmq-'));
  const address = `ipc://${join(folder, 'socket')}`;
  try {
    return await withChild('zeromq', [address], async () => {
      const dealer = new zmq.Dealer();
      dealer.connect(address);
      const pending = new Map();
      const receiving = (async () => {
        for await (const [id, body] of dealer) {
          const key = id.readUInt32LE(0);
          pending.get(key)(JSON.parse(body.toString()));
          pending.delete(key);
        }
      })();
      let count = 0;
      let sending = Promise.resolve();
      const call = (n) =>
        new Promise((resolve, reject) => {
          const id = Buffer.alloc(4);
          id.writeUInt32LE(++count);
          pending.set(count, resolve);
          // One send at a time, as its sockets ask.
          sending = sending.then(() => dealer.send([id, JSON.stringify(n)])).catch(reject);
        });
      try {
        return await calls(call, atOnce);
      } finally {
        dealer.close();
        await receiving.catch(() => {});
      }
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
};

// ── the lines ──────────────────────────────────────────────────────────────

const rows = {
  'getMany(64)': getMany,
  'leaseMany(64) and ack': leaseMany,
  'lease and ack, one by one': lease,
  'readable()': readable,
  'consume, concurrency 64': consuming(64),
  'BullMQ, concurrency 64': bullmq,
  'round trip over two queues': roundTrip,
  'caller, one at a time': calling(1),
  'caller, 64 at a time': calling(64),
  'piscina, one at a time': piscina(1),
  'piscina, 64 at a time': piscina(64),
  'zeromq, one at a time': zeromq(1),
  'zeromq, 64 at a time': zeromq(64),
};

/** What the first has to be of the second, at least. */
const wanted = [
  ['leaseMany(64) and ack', 'getMany(64)', 0.6],
  ['readable()', 'getMany(64)', 0.5],
  ['consume, concurrency 64', 'lease and ack, one by one', 0.5],
  ['consume, concurrency 64', 'BullMQ, concurrency 64', 20],
  ['caller, one at a time', 'round trip over two queues', 1 / 2.5],
  ['caller, one at a time', 'piscina, one at a time', 1],
  ['caller, 64 at a time', 'piscina, 64 at a time', 1],
  ['caller, one at a time', 'zeromq, one at a time', 1],
  ['caller, 64 at a time', 'zeromq, 64 at a time', 1],
];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const shown = (value) => Math.round(value).toLocaleString('en-US');
const chosen = Object.entries(rows).filter(([name]) => given.only === undefined || name.includes(given.only));
const results = Object.fromEntries(chosen.map(([name]) => [name, []]));
// The rows take turns, and a ratio is one within a round: what else the machine does meets both of its sides.
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of chosen) {
    const value = await run();
    if (value !== undefined) results[name].push(value);
  }
}
for (const [name, values] of Object.entries(results)) {
  console.log(
    values.length === 0
      ? `${name.padEnd(30)} left out: not installed`
      : `${name.padEnd(30)} ${shown(median(values)).padStart(12)}/s   (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`,
  );
}
for (const [first, second, least] of wanted) {
  const ratios = (results[first] ?? []).flatMap((value, round) => {
    const other = results[second]?.[round];
    return other === undefined ? [] : [value / other];
  });
  if (ratios.length === 0) continue;
  const ratio = median(ratios);
  const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(
    `${ratio >= least ? 'reached ' : 'MISSED  '} ${first} is ${ratio.toFixed(2)} × ${second} (${spread}; at least ${least.toFixed(2)})`,
  );
}
process.exit(0);
