import { inspect } from 'node:util';
import { QueueDescriptor, resolveDescriptor } from '../../lib';

test('a queue that is logged is one line', async () => {
  const queue = resolveDescriptor(QueueDescriptor.createLocalQueue('inspected'));
  expect(inspect(queue)).toBe('LocalQueue(local:inspected, open)');
  await queue.close();
  expect(inspect({ queue })).toBe('{ queue: LocalQueue(local:inspected, closed) }');
});
