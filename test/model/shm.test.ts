import { attachToShmQueue, getSageQueue } from '../../lib';
import { holdToReference } from './sequences';

let made = 0;

test('shm', async () => {
  const runs = await holdToReference({
    make: (maxsize) => {
      const name = `model-${process.pid}-${made++}`;
      const capacityBytes = 64 * 1024;
      return {
        open: () => attachToShmQueue<number>(undefined, name, { maxsize, capacityBytes }),
        end: async () => {
          const last = attachToShmQueue<number>(undefined, name);
          last.unlinkSync();
          last.closeSync();
        },
      };
    },
  });
  expect(runs).toBeGreaterThan(20);
}, 3_600_000);

test('sage_queue', async () => {
  const runs = await holdToReference({
    make: (maxsize) => {
      const id = `model-${process.pid}-${made++}`;
      const capacityBytes = 64 * 1024;
      return {
        open: () => getSageQueue<number>(id, { maxsize, capacityBytes }),
        end: async () => {
          const last = getSageQueue<number>(id);
          last.unlinkSync();
          last.closeSync();
        },
      };
    },
  });
  expect(runs).toBeGreaterThan(20);
}, 3_600_000);
