/** Redis on a unix socket, by ioredis: a list (RPUSH, BLPOP) and a stream (XADD, XREADGROUP). The server is started and stopped by the run. */
import { createRequire } from 'node:module';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { decoder, encoder } from './framing.mjs';

const require = createRequire(import.meta.url);
function load() {
  try {
    return require('ioredis');
  } catch {
    return undefined;
  }
}
const Redis = load();

function missing() {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'apt-get install redis-server';
  }
  return Redis === undefined ? 'npm install --prefix bench' : undefined;
}

const socketOf = (run) => `${run.directory}/redis`;
const client = (run) => new Redis({ path: socketOf(run), enableAutoPipelining: false });

/** A server of its own, in memory only. */
async function prepare(run) {
  const server = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', socketOf(run), '--save', '', '--appendonly', 'no', '--dir', run.directory],
    { stdio: 'ignore' },
  );
  for (let tries = 0; !existsSync(socketOf(run)); tries++) {
    if (tries === 500) throw new Error('redis-server did not open its socket within 5 s.');
    await sleep(10);
  }
  return async () => {
    const closed = new Promise((resolve) => server.once('close', resolve));
    server.kill('SIGTERM');
    await closed;
  };
}

/** Commands in flight at a time: one by one, each awaits a round trip; pipelined, as ioredis advises for throughput. */
const IN_FLIGHT = 64;
/** Redis keeps what it is given; the producer waits while this many lie there. */
const MOST_WAITING = 10_000;

async function produceWith(run, source, add, length) {
  const redis = client(run);
  const encode = encoder(run.work);
  const pending = [];
  let sinceLook = 0;
  await source.go();
  while (source.more()) {
    pending.push(add(redis, encode(source.next())));
    if (pending.length === IN_FLIGHT) {
      await Promise.all(pending.splice(0));
      sinceLook += IN_FLIGHT;
      if (sinceLook >= MOST_WAITING / 2) {
        sinceLook = 0;
        while ((await length(redis)) > MOST_WAITING) await sleep(1);
      }
    }
  }
  await Promise.all(pending);
  for (let left = await source.done(); left > 0; left--) await add(redis, encode(source.end));
  redis.disconnect();
}

export const variants = [
  {
    name: 'redis/list',
    title: `Redis list, ioredis, ${IN_FLIGHT} pushes in flight, LPOP of ${IN_FLIGHT}`,
    topologies: ['1-1', '4-1', '1-4', '4-4'],
    missing,
    prepare,
    produce: (run, source) =>
      produceWith(
        run,
        source,
        (redis, bytes) => redis.rpush('queue', bytes),
        (redis) => redis.llen('queue'),
      ),
    async consume(run, sink) {
      const redis = client(run);
      const decode = decoder(run.work);
      sink.ready();
      while (!sink.ended) {
        const items = await redis.lpopBuffer('queue', IN_FLIGHT);
        if (items === null) {
          const one = await redis.blpopBuffer('queue', 0);
          sink.receive(decode(one[1]));
          continue;
        }
        for (let at = 0; at < items.length; at++) {
          if (sink.receive(decode(items[at]))) continue;
          // The ends of the other consumers go back.
          for (const other of items.slice(at + 1)) await redis.rpush('queue', other);
          break;
        }
      }
      redis.disconnect();
    },
    async ping(run, probe) {
      const redis = client(run);
      const encode = encoder(run.work);
      const decode = decoder(run.work);
      await probe.go();
      let echo;
      do {
        await redis.rpush('there', encode(probe.start()));
        [, echo] = await redis.blpopBuffer('back', 0);
      } while (probe.stop(decode(echo)));
      await redis.rpush('there', encode(probe.end));
      redis.disconnect();
    },
    async pong(run, { ready }) {
      const redis = client(run);
      const decode = decoder(run.work);
      ready();
      for (;;) {
        const [, bytes] = await redis.blpopBuffer('there', 0);
        const item = decode(bytes);
        if (item.length === 1 || item.end === true) break;
        await redis.rpush('back', bytes);
      }
      redis.disconnect();
    },
  },
  {
    name: 'redis/stream',
    title: `Redis stream, ioredis, XADD and XREADGROUP of ${IN_FLIGHT}`,
    topologies: ['1-1'],
    missing,
    prepare,
    produce: (run, source) =>
      produceWith(
        run,
        source,
        (redis, bytes) => redis.xadd('stream', '*', 'item', bytes),
        (redis) => redis.xlen('stream'),
      ),
    async consume(run, sink) {
      const redis = client(run);
      const decode = decoder(run.work);
      await redis.xgroup('CREATE', 'stream', 'readers', '0', 'MKSTREAM');
      sink.ready();
      while (!sink.ended) {
        const answer = await redis.xreadgroupBuffer(
          ...['GROUP', 'readers', 'one', 'COUNT', IN_FLIGHT, 'BLOCK', 0, 'STREAMS', 'stream', '>'],
        );
        const ids = [];
        for (const [id, [, bytes]] of answer[0][1]) {
          ids.push(id);
          sink.receive(decode(bytes));
        }
        await redis
          .multi()
          .xack('stream', 'readers', ...ids)
          .xdel('stream', ...ids)
          .exec();
      }
      redis.disconnect();
    },
  },
];
