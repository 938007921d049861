/** Objects go out of the memory that they were encoded into, which the addon knows, and which changes: it grows, and is another one within an encoding. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { NativeQueue } from '../../lib';
import { REGISTER_CODEC, REGISTER_LENGTH, REGISTER_OFFSET, TOO_LARGE } from '../../lib/transports/shm/addon';
import type { NativeEntry } from '../../lib/transports/shm/native-entry';
import { attach, describeQueue, until } from './child';

const KIB = 1024;
const object = (bytes: number, text = 'a'): { text: string } => ({ text: text.repeat(bytes) });

let queues: NativeQueue[];
beforeEach(() => {
  queues = [1, 2].map(() => attach(describeQueue('sage_queue', { capacityBytes: 16 * KIB * KIB })));
});
afterEach(() => {
  for (const queue of queues) {
    queue.unlinkSync();
    queue.closeSync();
  }
});

test('small and large objects in turn, through two queues in turn', () => {
  const sizes = [1, 100 * KIB, 2, 200 * KIB, 3, 5000 * KIB, 4, 5];
  sizes.forEach((bytes, index) => {
    for (const queue of queues) queue.putSync(object(bytes, String(index)));
  });
  for (const queue of queues) {
    expect(sizes.map(() => queue.getSync())).toEqual(sizes.map((bytes, index) => object(bytes, String(index))));
  }
});

test('an object that puts another one while it is encoded', () => {
  const [queue] = queues as [NativeQueue];
  for (let round = 0; round < 3; round++) {
    queue.putSync({
      round,
      get inner() {
        queue.putSync(object(round, 'b'));
        return 'read';
      },
    });
    queue.putSync(object(round, 'c'));
    expect([queue.getSync(), queue.getSync(), queue.getSync()]).toEqual([
      object(round, 'b'),
      { round, inner: 'read' },
      object(round, 'c'),
    ]);
  }
});

test.each([
  ['begins behind its end', 10, 0],
  ['ends behind its end', 9, 2],
  ['has no end', 1, -1],
])('what %s is refused', (_, offset, length) => {
  const [queue] = queues as [NativeQueue];
  const { native } = queue as unknown as { native: NativeEntry };
  const put = (from: number, bytes: number): number | undefined => {
    native.registers[REGISTER_OFFSET] = from;
    native.registers[REGISTER_LENGTH] = bytes;
    native.registers[REGISTER_CODEC] = 1;
    return native.putEncoded();
  };
  expect(put(0, 1)).toBe(TOO_LARGE); // none is known
  native.setEncoderMemory(Buffer.from('123456789'));
  expect(put(offset, length)).toBe(TOO_LARGE);
  expect(queue.qsizeSync()).toBe(0);
  expect(put(8, 1)).toBeUndefined();
  expect(queue.getSync()).toEqual(Buffer.from('9'));
});

test('memory for one large object is kept for none', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heldBytes = async (): Promise<number> => {
    await new Promise(setImmediate);
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  let before = 0;
  await until('the memory of earlier tests to be free', async () => before === (before = await heldBytes()));
  for (const queue of queues) {
    queue.putSync(object(12 * KIB * KIB));
    queue.getSync();
  }
  // The encoder itself lets go of it with its next item.
  queues[0]!.putSync(object(1));
  queues[0]!.getSync();
  // V8 frees the memory of buffers that it has collected on a thread of its own, when that thread gets to it.
  await until('the memory to be free', async () => (await heldBytes()) - before < 12 * KIB * KIB);
});
