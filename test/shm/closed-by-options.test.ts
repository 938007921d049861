/** To read the options of a call runs getters of the program's, which may close its handle: the call then ends as on a closed one. */
import type { NativeQueue, SageQueue } from '../../lib';
import { awaited, closing, ITEM } from '../closing-options';
import { attach, describeQueue, drain, errorOf, types } from './child';

type Call = [string, (queue: SageQueue, options: object) => unknown];

const others: Call[] = [
  ['putSync', (queue, options) => queue.putSync(ITEM, options)],
  ['putManySync', (queue, options) => queue.putManySync([ITEM], options)],
  ['getSync', (queue, options) => queue.getSync(options)],
  ['getManySync', (queue, options) => queue.getManySync(2, options)],
  ['getManySync of none', (queue, options) => queue.getManySync(0, options)],
  ['getMany of none', (queue, options) => queue.getMany(0, options)],
  ['leaseSync', (queue, options) => queue.leaseSync(options)],
];
const inPlace: Call[] = [
  ['claimSync', (queue, options) => queue.claimSync(4, options)],
  ['consumeSync', (queue, options) => queue.consumeSync(() => {}, 2, options)],
  ['consumeSync of none', (queue, options) => queue.consumeSync(() => {}, 0, options)],
];

describe.each(types)('%s', (type) => {
  const both = (): [NativeQueue, NativeQueue] => {
    const descriptor = describeQueue(type);
    return [attach(descriptor), attach(descriptor)];
  };
  test.each<Call>([...awaited, ...others, ...(type === 'sage_queue' ? inPlace : [])])('%s', async (_name, call) => {
    const [queue, other] = both();
    other.putManySync([Buffer.from('first'), Buffer.from('second')]);
    expect((await errorOf(() => call(queue as SageQueue, closing(queue, 'timeoutMs', 0)))).code).toBe(
      'ERR_QUEUE_CLOSED',
    );
    expect(await other.stats()).toMatchObject({ qsize: 2, leased: 0, getTotal: 0, putTotal: 2 });
    other.putSync(Buffer.from('third')); // behind no claim of nobody's
    expect(drain(other).map(String)).toEqual(['first', 'second', 'third']);
    await other.join({ timeoutMs: 5000 });
    other.closeSync();
  });

  test('join and shutdown', async () => {
    const [queue, other] = both();
    expect((await errorOf(() => queue.join(closing(queue, 'timeoutMs', 0)))).code).toBe('ERR_QUEUE_CLOSED');
    const third = attach(other.descriptor);
    const shutdown = (): Promise<void> => third.shutdown(closing(third, 'immediate', true));
    expect((await errorOf(shutdown)).code).toBe('ERR_QUEUE_CLOSED');
    other.putSync(1);
    expect(other.getSync()).toBe(1);
    other.closeSync();
  });
});
