/** Dead letters that cannot be put: their items come again after a pause, and hold up nobody. */
import { QueueConnectionError, QueueDescriptor } from '../../lib';
import type { QueueLike, WaitOptions } from '../../lib';
import { StubQueue } from '../../lib/testing';
import { consume } from '../../lib/work';
import type { DeadLetter } from '../../lib/work';
import { queueTypes, track, until } from './queues';

let count = 0;
const fresh = (): QueueDescriptor => QueueDescriptor.createLocalQueue(`graves-${count++}`);

/** Takes nothing while it is away. */
class Graves extends StubQueue<DeadLetter> {
  isAway = true;
  /** When each put came. */
  readonly asked: number[] = [];

  override async put(letter: DeadLetter, options?: WaitOptions): Promise<void> {
    this.asked.push(performance.now());
    if (this.isAway) throw new QueueConnectionError('no way there');
    return super.put(letter, options);
  }
}

const failBad = (item: unknown): void => {
  if (item === 'bad') throw new Error('always');
};

describe.each(['local', 'sage_queue', 'stub'] as const)('on %s', (type) => {
  test('what cannot be buried pauses before each further try, counts its deliveries, and holds up nobody', async () => {
    const queue = await queueTypes[type]!();
    const deadLetter = new Graves(fresh());
    const pauses: number[] = [];
    const told: unknown[] = [];
    const consumer = track(
      consume(queue, failBad, {
        maxDeliveries: 1,
        deadLetter,
        backoffMs: (deliveries) => {
          pauses.push(deliveries);
          return 60;
        },
        onError: (error) => told.push(error),
      }),
    );
    await queue.put('bad');
    await until('it was tried', () => deadLetter.asked.length > 0);
    await queue.putMany(Array.from({ length: 20 }, (_, index) => index));
    await until('the others are done', () => consumer.stats().done === 20);
    await until('it was tried three times', () => deadLetter.asked.length >= 3);
    deadLetter.isAway = false;
    expect(await deadLetter.get({ timeoutMs: 10_000 })).toMatchObject({ item: 'bad' });
    const { asked } = deadLetter;
    for (const [index, at] of asked.slice(1).entries()) expect(at - asked[index]!).toBeGreaterThanOrEqual(59);
    expect(pauses).toEqual(asked.slice(1).map((_at, index) => index + 1));
    // The attempt, and each burial that failed.
    expect(told).toHaveLength(asked.length);
    await until('it is counted', () => consumer.stats().dead === 1);
  });

  test('without a pause it has one of its own', async () => {
    const queue = await queueTypes[type]!();
    const deadLetter = new Graves(fresh());
    const options = { maxDeliveries: 1, deadLetter, backoffMs: () => 0, onError() {} };
    track(consume(queue, failBad, options));
    await queue.put('bad');
    await until('it was tried three times', () => deadLetter.asked.length >= 3);
    const [first, second, third] = deadLetter.asked as [number, number, number];
    expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(4);
  });
});

test('a grave that throws at once is one that fails', async () => {
  const queue = await queueTypes.local!();
  const started = performance.now();
  let tries = 0;
  const put = (): never => {
    tries++;
    throw new Error('no grave');
  };
  const deadLetter = { put } as unknown as QueueLike<DeadLetter>;
  const consumer = track(consume(queue, failBad, { maxDeliveries: 1, deadLetter, backoffMs: () => 20, onError() {} }));
  await queue.putMany(['bad', 'good']);
  await until('the other one is done', () => consumer.stats().done === 1);
  await until('it was tried again', () => tries > 1);
  expect(tries).toBeLessThanOrEqual(1 + (performance.now() - started) / 20);
});

test('one that comes by among those that run alone pauses, too', async () => {
  const queue = new StubQueue(fresh());
  const deadLetter = new Graves(fresh());
  const record = (item: string, deliveries: number): unknown => ({
    'sage-queue:retry': { deliveries, crashes: 1, dueAtMs: 0 },
    item,
  });
  await queue.put(record('suspect', 1));
  await queue.put(record('bad', 2));
  const options = { maxDeliveries: 2, deadLetter, backoffMs: () => 60, onError() {} };
  const consumer = track(consume(queue, () => {}, options));
  await until('the suspect is done, and the other one tried', () => consumer.stats().done === 1 && deadLetter.asked.length >= 3); // prettier-ignore
  const { asked } = deadLetter;
  for (const [index, at] of asked.slice(1).entries()) expect(at - asked[index]!).toBeGreaterThanOrEqual(59);
});
