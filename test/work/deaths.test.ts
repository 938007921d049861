/** Consumers that are killed, in processes of their own: what it costs the items that they held. */
import { attach, describeQueue, start, types, until } from '../shm/child';

/** Says what it begins with. Item 1 fails, and pauses from then on; the others never end. */
const CONSUMER = `
const { consume } = require('sage-queue/work');
consume(open(), (n) => {
  say(n);
  if (n === 1) throw new Error('one');
  return new Promise(() => {});
}, { concurrency: 2, backoffMs: () => 60_000, onError() {} });
`;

test.each(types)('%s: a death costs what ran an attempt, and what paused none', async (type) => {
  const descriptor = describeQueue(type);
  const queue = attach(descriptor);
  try {
    await queue.putMany([1, 2]);
    const child = start(CONSUMER, descriptor);
    expect([await child.next(), await child.next()]).toEqual([1, 2]);
    await until('it pauses one, runs one and waits for more', async () => {
      const { leased, redelivered, waitingGetters } = await queue.stats();
      return leased === 2 && redelivered === 1 && waitingGetters === 1;
    });
    await child.kill();
    const { leases } = await queue.leaseMany(1);
    const [first] = leases;
    const second = await queue.lease();
    expect(first).toMatchObject({ item: 1, deliveries: 2, crashes: 0 });
    expect(second).toMatchObject({ item: 2, deliveries: 2, crashes: 1 });
  } finally {
    queue.unlinkSync();
    queue.closeSync();
  }
});
