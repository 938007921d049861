import type { Awaitable, Queue } from '../queue/types';
import { QueueConsumer } from './consumer';
import { deadLetterOf } from './dead-letter';
import { readWorkOptions, requireHandler, requireQueue } from './options';
import type { ConsumeOptions, Consumer, Job } from './types';

/**
 * Calls the handler for each item of the queue. Each item is acknowledged when its handler has returned; what throws, or takes longer than
 * `timeoutMs`, comes again after a pause. An item with crashes > 0 runs with no other beside it in this consumer, one at a time, so that
 * deaths are counted to the guilty; a failed attempt is recorded in the queue before its pause, so that a crash forgets no count.
 *
 * @throws TypeError, RangeError for options that cannot be
 * @example
 * const consumer = consume(jobs, async (job, { signal }) => work(job, signal), {
 *   concurrency: 16, timeoutMs: 30_000, maxDeliveries: 5, deadLetter: resolveDescriptor(dead),
 * });
 * process.once('SIGTERM', () => void consumer.stop());
 * await consumer.done;
 */
export function consume<T>(
  queue: Queue<T>,
  handler: (items: T[], job: Job) => Awaitable<void>,
  options: ConsumeOptions<T> & { batch: number },
): Consumer;
export function consume<T>(
  queue: Queue<T>,
  handler: (item: T, job: Job) => Awaitable<void>,
  options?: ConsumeOptions<T>,
): Consumer;
export function consume<T>(
  queue: Queue<T>,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- one item or an array of them, as the overloads say
  handler: (given: any, job: Job) => Awaitable<void>,
  options?: ConsumeOptions<T>,
): Consumer {
  requireQueue(queue, 'consume');
  requireHandler(handler);
  const { deadLetter } = options ?? {};
  return new QueueConsumer(queue, handler, {
    ...readWorkOptions(options),
    bury:
      deadLetter &&
      ((item, error, at) => deadLetter.put(deadLetterOf(item, error, at, queue.descriptor), { signal: at.signal })),
  });
}
