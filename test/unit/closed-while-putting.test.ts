/** A handle that is closed between two batches of its putMany: an error of the package, with what had gone in. */
import { getSageQueue, QueueClosedError } from '../../lib/index';
import { turn } from '../../lib/testing/harness';

test('putMany behind a put whose caller closes the handle', async () => {
  const name = `fix-closed-while-putting-${process.pid}`;
  const queue = getSageQueue(name, { maxsize: 0, capacityBytes: 8192 });
  const other = getSageQueue(name);
  queue.putSync(Buffer.alloc(8000));
  const closed = queue.put(Buffer.alloc(1000)).then(() => queue.closeSync());
  // Waits from its first batch on, so that the second one is the first to be packed.
  const putting = queue.putMany(Array.from({ length: 100 }, (_, index) => index)).catch((error: unknown) => error);
  await turn();
  other.getSync();
  await closed;
  const error = await putting;
  expect(error).toBeInstanceOf(QueueClosedError);
  expect((error as { accepted: number }).accepted).toBe(64);
  await other.shutdown({ immediate: true });
  other.closeSync();
});
