/**
 * A connection breaks while its first frame is on the way, and that one comes late: after the client's next stream, on which it has been given
 * an item already. The late one is nobody's any more, and takes nothing from the other.
 */
import assert from 'node:assert/strict';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { GRACE_MS } from './rpc-calls';
import { runSchedules } from './run-schedules';
import { Server } from './simulated-server';
import { Network, simulateGrpc } from './streams';

const grpc = simulateGrpc();
const LATE_MS = 500;

void runSchedules('a stream that is overtaken', 1, async (loop) => {
  const descriptor = QueueDescriptor.createLocalQueue('overtaken');
  const keeper = resolveDescriptor<number>(descriptor);
  await loop.outcome(keeper.put(7));
  let wayMs = LATE_MS;
  const network = new Network(
    loop,
    grpc,
    () => wayMs,
    () => false,
  );
  const server = new Server(descriptor, network);
  const queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', 1, descriptor.queueId));
  const got: number[] = [];
  void queue.get().then((item) => got.push(item));
  const began = loop.now;
  await loop.advance(began + 1);
  wayMs = 2;
  network.linkTo(1)!.breakOff({ isLost: false, hearsAfterMs: 2 * LATE_MS });
  // The item is on its way, and its confirmation is not, when the late stream comes.
  let isGiven = false;
  while (!isGiven) {
    await loop.advance(loop.now + 1);
    const { leased } = await loop.outcome(keeper.stats());
    isGiven = leased! > 0;
    if (isGiven) wayMs = LATE_MS;
  }
  assert(loop.now < began + LATE_MS, 'the second stream is served before the first one comes');
  await loop.advance(loop.now + 3 * LATE_MS);
  assert.deepEqual(got, [7]);
  await loop.advance(loop.now + 3 * LATE_MS);
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false }).catch(() => [])), [], 'it comes again');

  wayMs = 0;
  const closed = queue.close();
  await loop.advance(loop.now + 100);
  await loop.outcome(closed);
  server.die();
  await keeper.close();
  await loop.advance(loop.now + GRACE_MS);
  assert.equal(loop.armed, 0);
});
