import { getLocalQueue, QueueDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { holdToReference } from './sequences';

let made = 0;

test('local', async () => {
  const runs = await holdToReference({
    make: (maxsize) => {
      const id = `model-local-${made++}`;
      return { open: () => getLocalQueue<number>(id, { maxsize }), end: async () => {} };
    },
  });
  expect(runs).toBeGreaterThan(20);
}, 3_600_000);

test('the stub', async () => {
  const runs = await holdToReference({
    make: (maxsize) => {
      const open = StubQueue.sharing();
      const descriptor = QueueDescriptor.createLocalQueue(`model-stub-${made++}`, { maxsize });
      return { open: () => open(descriptor) as Queue<number>, end: async () => {} };
    },
  });
  expect(runs).toBeGreaterThan(20);
}, 3_600_000);
