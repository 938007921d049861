import { attach, describeQueue, drain, now, start, types, until } from './child';

/** Takes two items on lease and is killed with them. */
const holder = `const queue = open(); queue.leaseSync(); queue.leaseSync(); say('holds'); hear();`;

describe.each(types)('%s', (type) => {
  test('what a dead process had on lease comes ahead of what was never taken', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<number>(descriptor);
    queue.putManySync([1, 2, 3]);
    const child = start(holder, descriptor);
    await child.next();
    await child.kill();
    expect(drain(queue)).toEqual([1, 2, 3]);
    expect(await queue.stats()).toMatchObject({ redelivered: 2 });
    queue.closeSync();
  });

  test('it is counted, seen and waited for as any other item', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<number>(descriptor);
    for (const look of [
      () => queue.qsizeSync() === 2,
      () => !queue.emptySync(),
      () => queue.peekSync()?.item === 1,
      async () => (await queue.stats()).qsize === 2,
      () => queue.get({ block: false }).then(
        (item) => item === 1,
        () => false,
      ), // prettier-ignore
    ]) {
      queue.putManySync([1, 2]);
      const child = start(holder, descriptor);
      await child.next();
      expect(queue.qsizeSync()).toBe(0);
      await child.kill();
      await until('it is there', look); // nothing else asks after the dead
      drain(queue);
    }
    queue.closeSync();
  });

  test('it comes within 100 ms to a consumer that never finds the queue empty', async () => {
    const descriptor = describeQueue(type);
    const queue = attach<string>(descriptor);
    queue.putManySync(['leased', 'leased']);
    const child = start(holder, descriptor);
    await child.next();
    for (let count = 0; count < 500; count++) queue.putSync('more');
    await child.kill();
    const died = now();
    let item = '';
    while (item !== 'leased' && now() - died < 5000) {
      queue.putSync('more');
      item = queue.getSync();
    }
    expect(item).toBe('leased');
    expect(now() - died).toBeLessThan(100);
    queue.unlinkSync();
    queue.closeSync();
  });
});
