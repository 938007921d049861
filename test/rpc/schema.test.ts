/** Items with a schema over rpc, and clients whose descriptor has none: in processes of their own, for a thread that knows a schema reads its items. */
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue, SageQueue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { ServedQueue } from '../../lib/server/served-queue';
import { freshName, run } from '../shm/child';

const schema = { id: 'u32', 'note?': 'string' } as const;
const items = [{ id: 1, note: 'one' }, { id: 2 }, { id: 3 }];

const READERS = `
const queue = open();
const failing = async (call) => { try { say(await call()); } catch ({ code, message }) { say([code, message]); } };
(async () => {
  await failing(() => queue.get());
  await failing(() => queue.getMany(2));
  await failing(async () => { const lease = await queue.lease(); await lease.ack(); return lease.item; });
  await failing(async () => { const batch = await queue.leaseMany(2); await batch.ack(); return batch.items; });
  await failing(async () => { for await (const item of queue) return item; });
  await failing(async () => { for await (const item of queue.readable()) return item; });
  await queue.close();
})();
`;

let server: QueueServer | undefined;
const backings: Queue[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  await server?.stop({ graceMs: 0 });
  for (const backing of backings.splice(0)) {
    (backing as Partial<SageQueue>).unlinkSync?.();
    await backing.close();
  }
});

async function serve(kind: 'local' | 'sage_queue'): Promise<{ backing: Queue; descriptor: QueueDescriptor }> {
  const make = kind === 'local' ? QueueDescriptor.createLocalQueue : QueueDescriptor.createSageQueue;
  const backing = resolveDescriptor(make(freshName(), { schema })) as Queue;
  backings.push(backing);
  server = new QueueServer({ queues: { work: backing } });
  const { port } = await server.start();
  return { backing, descriptor: QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work') };
}

test.each(['local', 'sage_queue'] as const)('who attaches without the schema reads the items: %s', async (kind) => {
  const { backing, descriptor } = await serve(kind);
  for (let round = 0; round < 3; round++) await backing.putMany(items);
  const said = await run(READERS, descriptor);
  expect(said).toEqual([items[0], [items[1], items[2]], items[0], [items[1], items[2]], items[0], items[1]]);
  expect(await backing.getMany(9)).toEqual([items[2]]);
});

test('a server that does not tell its schema: the items stay for those who can read them, in order', async () => {
  jest.spyOn(ServedQueue.prototype, 'schemas', 'get').mockReturnValue([]);
  const { backing, descriptor } = await serve('sage_queue');
  await backing.putMany(items);
  const said = (await run(READERS, descriptor)) as [string, string][];
  expect(said).toHaveLength(6);
  for (const [code, message] of said) {
    expect(code).toBe('ERR_ITEM_SERIALIZATION');
    expect(message).toMatch(/schema \(id [0-9a-f]{8}\) is not known here.*It is still in the queue\.$/);
  }
  expect(await backing.stats()).toMatchObject({ qsize: items.length, getTotal: 0 });
  expect(await backing.getMany(9)).toEqual(items);
});

test('gets of one turn: the items around one that cannot be read are given once, and that one stays', async () => {
  const backing = resolveDescriptor(QueueDescriptor.createLocalQueue(freshName())) as Queue;
  backings.push(backing);
  server = new QueueServer({ queues: { work: backing } });
  const { port } = await server.start();
  const descriptor = QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work');
  const [plain, typed] = [descriptor, QueueDescriptor.createRpcQueue('127.0.0.1', port, 'work', { schema })].map(
    (one) => resolveDescriptor(one) as Queue,
  );
  await plain!.put('first');
  await typed!.put(items[1]);
  await plain!.put('third');
  const said = await run(
    `const queue = open();
    (async () => {
      const gets = await Promise.allSettled([queue.get(), queue.get(), queue.get()]);
      for (const { value, reason } of gets) say(value ?? reason.code);
      await queue.close();
    })();`,
    descriptor,
  );
  expect(said).toEqual(['first', 'ERR_ITEM_SERIALIZATION', 'third']);
  expect(await backing.stats()).toMatchObject({ qsize: 1, getTotal: 2, leased: 0, redelivered: 0 });
  await Promise.all([plain!.close(), typed!.close()]);
});
