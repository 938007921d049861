import { attach, describeQueue, isRoot, run, segmentFiles, types } from './child';

const OTHER_USER = 65534;

/** Only the owner of a file may take its name away in /dev/shm. */
describe.each(types)('%s', (type) => {
  test('a queue that another user uses, drains and closes is still there for both', async () => {
    if (!isRoot) {
      if (process.env.CI === 'true') throw new Error('CI runs this as root, to have two users');
      console.warn('not root: a queue of two users was not tried');
      return;
    }
    const descriptor = describeQueue(
      type,
      type === 'shm' ? { mode: 0o666 } : { mode: 0o666, enableMultiTenant: false },
    );
    const queue = attach(descriptor);
    queue.putManySync([1, 2]);
    queue.closeSync();
    const uid = { uid: OTHER_USER };
    const get = `const queue = open(); say(queue.getSync()); queue.closeSync();`;
    expect(await run(get, descriptor, [], uid)).toEqual([1]);
    expect(await run(get, descriptor, [], uid)).toEqual([2]);
    expect(await run(`const queue = open(); queue.putSync(3); queue.closeSync();`, descriptor, [], uid)).toEqual([]);
    expect(await run(get, descriptor, [], uid)).toEqual([3]);
    const unlink = `const queue = open(); try { queue.unlinkSync(); } catch ({ code }) { say(code); } queue.closeSync();`;
    expect(await run(unlink, descriptor, [], uid)).toEqual(['ERR_SEGMENT_PERMISSION']);
    attach(descriptor).closeSync();
    expect(segmentFiles()).toEqual([]);
  });
});
