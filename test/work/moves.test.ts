/**
 * What goes to the back of the queue is put again and then acknowledged. A process that dies between the two doubles it: one item of a
 * consumer at most, since they go one after the other, and the one that stayed says that it was in a death.
 */
import { QueueDescriptor } from '../../lib';
import { History } from '../history/check-history.cjs';
import { attach, describeQueue, start } from '../shm/child';

jest.setTimeout(60_000);

const PAUSING = 20;

const HOLDER = `
open().leaseSync();
say('holds');
setInterval(() => {}, 1000);
`;

/** Lets all but the guilty pause; then dies when it has put the fifth of them again, before it can acknowledge anything more. */
const CONSUMER = `
const { consume } = require('sage-queue/work');
const queue = open();
let [pauseMs, moved] = [3_600_000, 0];
const put = queue.put.bind(queue);
queue.put = async (item, options) => {
  await put(item, options);
  if (++moved === 5) process.kill(process.pid, 'SIGKILL');
};
const consumer = consume(queue, () => { throw new Error('again'); },
  { concurrency: 32, maxWaiting: 100, backoffMs: () => pauseMs, onError() {} });
const look = setInterval(() => {
  if (consumer.stats().waitingRetry !== ${PAUSING}) return;
  clearInterval(look);
  pauseMs = 0;
  say('they pause');
}, 2);
`;

test('a death while items go to the back doubles one of them at most', async () => {
  const descriptor: QueueDescriptor = describeQueue('sage_queue');
  const queue = attach<string>(descriptor);
  try {
    await queue.put('guilty');
    const holder = start(HOLDER, descriptor);
    expect(await holder.next()).toBe('holds');
    const names = Array.from({ length: PAUSING }, (_, index) => `pausing ${index}`);
    await queue.putMany(names);
    const consumer = start(CONSUMER, descriptor);
    expect(await consumer.next()).toBe('they pause');
    await holder.kill();
    expect((await consumer.ended).signal).toBe('SIGKILL');

    const history = new History();
    const all = ['guilty', ...names];
    history.ack('names', 0, all.length);
    history.allow('double', 1);
    const found = new Map<string, number[]>();
    await using batch = await queue.leaseMany(1000);
    for (const { item, crashes } of batch.leases as readonly { item: unknown; crashes: number }[]) {
      const inner = typeof item === 'string' ? item : (item as { item: string }).item;
      found.set(inner, [...(found.get(inner) ?? []), crashes]);
      const number = all.indexOf(inner);
      history.left('names', number, number + 1);
    }
    expect(history.result().problems).toEqual([]);
    const twice = [...found.values()].filter((copies) => copies.length > 1);
    expect(twice).toEqual([expect.arrayContaining([0, 1])]);
    await batch.ack();
  } finally {
    queue.unlinkSync();
    queue.closeSync();
  }
});
