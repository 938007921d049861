/** As test/shm/closed-by-options, of the types without a segment. */
import { QueueClosedError, QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { wrapQueue } from '../../lib/queue/adapter/wrap-queue';
import { Impatient } from '../adapter/queues';
import { awaited, closing } from '../closing-options';

const own = new QueueDescriptor({ queueId: 'own', queueType: 'own' });
const makers: [string, () => [Queue, () => unknown]][] = [
  [
    'local',
    () => {
      const descriptor = QueueDescriptor.createLocalQueue();
      const [queue, other] = [resolveDescriptor(descriptor), resolveDescriptor(descriptor)];
      return [queue, () => other.qsize()];
    },
  ],
  [
    'adapted',
    () => {
      const inner = new Impatient<unknown>();
      return [wrapQueue(inner, own), () => inner.items.length];
    },
  ],
];

describe.each(makers)('%s', (_type, make) => {
  test.each(awaited)('%s', async (_name, call) => {
    const [queue, left] = make();
    await queue.putMany(['first', 'second']);
    await expect(call(queue, closing(queue, 'timeoutMs', 1000))).rejects.toThrow(QueueClosedError);
    expect(await left()).toBe(2);
  });
});

test('local: shutdown', async () => {
  const descriptor = QueueDescriptor.createLocalQueue();
  const [queue, other] = [resolveDescriptor(descriptor), resolveDescriptor(descriptor)];
  await expect(queue.shutdown(closing(queue, 'immediate', true))).rejects.toThrow(QueueClosedError);
  await other.put('goes in');
  await other.close();
});
