import { QueueConnectionError, QueueDescriptor, resolveDescriptor } from '../../lib';
import type { AutoOptions, Queue } from '../../lib';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const namespace = `auto-${process.pid}`;
/** The descriptor as somebody on another host would have made it. */
const fromElsewhere = (queueId: string, options: AutoOptions = {}): QueueDescriptor => {
  const made = QueueDescriptor.createAutoQueue(queueId, { namespace, ...options });
  return new QueueDescriptor({
    queueId,
    queueType: 'auto',
    metadata: { ...made.metadata, owner_boot_id: 'another-boot' },
  });
};
const open = (descriptor: QueueDescriptor): Queue => {
  const queue = resolveDescriptor(descriptor) as Queue;
  fixture.later(() => queue.close());
  return queue;
};

test("on the owner's host it is the owner's sage_queue, and passes on as auto", async () => {
  const descriptor = QueueDescriptor.createAutoQueue('here', { namespace });
  const queue = open(descriptor);
  const owner = open(QueueDescriptor.createSageQueue('here', { namespace }));
  await queue.put('hello');
  expect(await owner.get()).toBe('hello');
  expect((await queue.stats()).queueType).toBe('sage_queue');
  expect(queue.descriptor.equals(descriptor)).toBe(true);
});

test('elsewhere it is the rpc endpoint', async () => {
  const owner = open(QueueDescriptor.createSageQueue('served', { namespace }));
  const { port } = await fixture.serve({ queues: { served: owner } });
  const queue = open(fromElsewhere('served', { rpc: { serverAddress: '127.0.0.1', port } }));
  await queue.put('hello');
  expect(await owner.get()).toBe('hello');
  expect((await queue.stats()).queueType).toBe('rpc');
  expect(queue.descriptor.queueType).toBe('auto');
});

test('elsewhere, without an endpoint, it says why it cannot', () => {
  expect(() => open(fromElsewhere('lonely'))).toThrow(QueueConnectionError);
  expect(() => open(fromElsewhere('lonely'))).toThrow(/boot id another-boot.*rpc/);
});
