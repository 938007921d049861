/** A handle that is closed between two batches of its putMany: an error of the package, with what had gone in. */
import { getSageQueue, QueueClosedError } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

test('putMany behind a put whose caller closes the handle', async () => {
  const name = `fix-closed-while-putting-${process.pid}`;
  const queue = getSageQueue(name, { maxsize: 0, capacityBytes: 8192 });
  const other = getSageQueue(name);
  queue.putSync(Buffer.alloc(8000));
  const closed = queue.put(Buffer.alloc(1000)).then(() => queue.closeSync());
  // Goes in as far as there is room, behind the put.
  const items = Array.from({ length: 100 }, () => Buffer.alloc(100));
  const putting = queue.putMany(items).catch((error: unknown) => error);
  await turn();
  other.getSync();
  await closed;
  const error = await putting;
  expect(error).toBeInstanceOf(QueueClosedError);
  const { accepted } = error as { accepted: number };
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThan(100);
  expect(await other.qsize()).toBe(1 + accepted);
  await other.shutdown({ immediate: true });
  other.closeSync();
});
