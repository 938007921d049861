/**
 * The client of `rpc` before the real server, on a virtual loop: puts, gets, leases, loops and questions of several clients, with and without
 * timeouts and signals, while connections are slow, break and are refused, the server dies or stops and comes back as another, and the loop
 * is late by any time. Each run says its seed; SEED=… repeats it.
 */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { loadGrpc } from '../../lib/transports/rpc/wire/grpc';
import { GRACE_MS } from './rpc-calls';
import { Schedule } from './rpc-schedule';
import { runSchedules } from './run-schedules';
import { Server } from './simulated-server';
import { Network } from './streams';
import { VirtualLoop } from './virtual-clock';

jest.mock('../../lib/transports/rpc/wire/grpc', () => {
  const real = jest.requireActual<typeof import('../../lib/transports/rpc/wire/grpc')>(
    '../../lib/transports/rpc/wire/grpc',
  );
  let grpc: ReturnType<typeof real.loadGrpc> | undefined;
  const make = (): ReturnType<typeof real.loadGrpc> =>
    jest.requireActual<typeof import('./streams')>('./streams').simulated(real.loadGrpc());
  return { ...real, loadGrpc: () => (grpc ??= make()) };
});

test('whatever breaks, nothing is lost, nothing is doubled but what may be, and every call ends', () =>
  runSchedules('rpc clients', 120, (loop, random) => new Schedule(loop, random).run()));

test('a put that a server took before it died, and that is called off at the next one, may be in', async () => {
  const loop = new VirtualLoop();
  const uninstall = loop.install();
  try {
    const descriptor = QueueDescriptor.createLocalQueue('simulated-full', { maxsize: 1 });
    const keeper = resolveDescriptor<number>(descriptor);
    const network = new Network(
      loop,
      loadGrpc(),
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
    expect(await loop.outcome(put)).toMatchObject({ code: 'ERR_QUEUE_CLOSED', outcome: 'unknown' });
    expect(await loop.outcome(keeper.get())).toBe(7);
    next.die();
    await keeper.close();
    await loop.advance(loop.now + GRACE_MS);
    expect(loop.armed).toBe(0);
  } finally {
    uninstall();
  }
});
