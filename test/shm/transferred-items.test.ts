import { attach, describeQueue, types } from './child';
import { expectOthersKept, ways } from '../transferred';

const CASES = types.flatMap((type) =>
  ways.flatMap((way) => [10, 1000, 5000].map((bytes) => [type, way, bytes] as const)),
);

test.each(CASES)(
  '%s: an item of %s that is transferred to another thread empties no other, of %d bytes',
  async (type, way, bytes) => {
    const queue = attach<Buffer>(describeQueue(type));
    await expectOthersKept(queue, way, bytes);
    await queue.close();
  },
);
