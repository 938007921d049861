import { attach, describeQueue, types, until } from './child';

describe.each(types)('%s', (type) => {
  test('bytes that wait for room arrive as they were put, whatever their owner does meanwhile', async () => {
    const queue = attach<Buffer | string>(describeQueue(type, { maxsize: 1 }));
    const bytes = (): Buffer => Buffer.from(new Uint8Array(Buffer.from('right')).buffer);
    for (const put of [
      (item: Buffer) => queue.put(item),
      (item: Buffer) => queue.putMany([item]),
      (item: Buffer) => queue.putMany(new Set([item])),
    ]) {
      for (const meddle of [
        (item: Buffer) => void item.fill('W'),
        (item: Buffer) => void structuredClone(item.buffer, { transfer: [item.buffer as ArrayBuffer] }),
      ]) {
        queue.putSync('first');
        const item = bytes();
        const waiting = put(item);
        await until('it waits', async () => (await queue.stats()).waitingPutters === 1);
        meddle(item);
        expect(queue.getSync()).toBe('first');
        await waiting;
        expect(String(queue.getSync())).toBe('right');
      }
    }
    queue.closeSync();
  });
});
