/**
 * A put that a server took and whose answer was lost, of a client that comes back after longer than it is remembered and misses that it was
 * forgotten, since its connection breaks again: on the third one the server must not know it as one that never sent anything.
 */
import assert from 'node:assert/strict';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { GRACE_MS } from './rpc-calls';
import { runSchedules } from './run-schedules';
import { REMEMBER_MS, Server } from './simulated-server';
import { Network, simulateGrpc } from './streams';

const grpc = simulateGrpc();
const WAY_MS = 5;

void runSchedules('a client that is forgotten', 1, async (loop) => {
  const descriptor = QueueDescriptor.createLocalQueue('forgotten');
  const keeper = resolveDescriptor<number>(descriptor);
  let wayMs = WAY_MS;
  const network = new Network(
    loop,
    grpc,
    () => wayMs,
    () => false,
  );
  const server = new Server(descriptor, network);
  const queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', 1, descriptor.queueId));
  const until = async (done: () => Promise<boolean> | boolean): Promise<void> => {
    while (!(await done())) await loop.advance(loop.now + 1);
  };
  const put = queue.put(7).then(
    () => ({ code: 'none', outcome: 'in' }),
    (error: unknown) => error,
  );
  await until(async () => (await loop.outcome(keeper.qsize())) === 1);
  // The server hears of it at once; the client's loop is late.
  wayMs = 0;
  network.linkTo(1)!.breakOff({ clientHearsAfterMs: 100 });
  await loop.advance(loop.now + WAY_MS);
  wayMs = WAY_MS;
  loop.now += 2 * REMEMBER_MS;
  // It is there, and its answer on the way.
  await until(() => network.linkTo(1)?.isUp === true);
  network.linkTo(1)!.breakOff();
  await loop.advance(loop.now + 2000);
  const { code, outcome } = (await loop.outcome(put)) as { code?: string; outcome?: string };
  assert.deepEqual({ code, outcome }, { code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false })), [7]);

  // From then on it is known again.
  let isIn = false;
  void queue.put(8).then(() => (isIn = true));
  await until(async () => (await loop.outcome(keeper.qsize())) === 1);
  network.linkTo(1)!.breakOff();
  await until(() => isIn);
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false })), [8]);

  const closed = queue.close();
  await loop.advance(loop.now + 100);
  await loop.outcome(closed);
  server.die();
  await keeper.close();
  await loop.advance(loop.now + GRACE_MS);
  assert.equal(loop.armed, 0);
});
