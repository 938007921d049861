/** A put that a server took before it died, and that is called off at the next one: whoever made it is told that it may be in. */
import assert from 'node:assert/strict';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { GRACE_MS } from './rpc-calls';
import { runSchedules } from './run-schedules';
import { Server } from './simulated-server';
import { Network, simulateGrpc } from './streams';

const grpc = simulateGrpc();

void runSchedules('a put that is called off', 1, async (loop) => {
  const descriptor = QueueDescriptor.createLocalQueue('called-off', { maxsize: 1 });
  const keeper = resolveDescriptor<number>(descriptor);
  const network = new Network(
    loop,
    grpc,
    () => 5,
    () => false,
  );
  const first = new Server(descriptor, network);
  const queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', 1, descriptor.queueId));
  const put = queue.put(7).catch((error: unknown) => error);
  let size = 0;
  while (size === 0) {
    await loop.advance(loop.now + 1);
    size = await loop.outcome(keeper.qsize());
  }
  first.die();
  const next = new Server(descriptor, network);
  // It waits for room there.
  await loop.advance(loop.now + 200);
  const closed = queue.close();
  await loop.advance(loop.now + 100);
  await loop.outcome(closed);
  const { code, outcome } = (await loop.outcome(put)) as { code?: string; outcome?: string };
  assert.deepEqual({ code, outcome }, { code: 'ERR_QUEUE_CLOSED', outcome: 'unknown' });
  assert.equal(await loop.outcome(keeper.get()), 7);
  next.die();
  await keeper.close();
  await loop.advance(loop.now + GRACE_MS);
  assert.equal(loop.armed, 0);
});
