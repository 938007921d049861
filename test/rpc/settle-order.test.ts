/** Gets of one handle settle in the order in which they were made, also when they are served apart. */
import { getLocalQueue, getSageQueue } from '../../lib';
import type { Queue, QueueLike } from '../../lib';
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

describe.each(['local', 'sage_queue'])('%s', (type) => {
  let backing: Queue<string>;
  let queue: Queue<string>;

  beforeEach(async () => {
    const id = `fixrpc-order-${process.pid}`;
    backing = type === 'local' ? getLocalQueue<string>(id) : getSageQueue<string>(id);
    fixture.later(() => backing.close());
    const { port } = await fixture.serve({ queues: { q: backing as QueueLike } });
    queue = fixture.client<string>(port);
  });

  const waiting = (): Promise<void> => until(async () => (await backing.stats()).waitingGetters === 1);

  test.each([0, 1, 2])('with number %d of three aborted', async (aborted) => {
    const controllers = [0, 1, 2].map(() => new AbortController());
    const settled: number[] = [];
    const gets = controllers.map(async ({ signal }, index) => {
      const item = await queue.get({ signal }).catch(() => 'aborted');
      settled.push(index);
      return item;
    });
    await waiting();
    controllers[aborted]!.abort();
    // The server has heard of it once it answers what was asked afterwards.
    await queue.qsize();
    await backing.putMany(['a', 'b']);
    await Promise.all(gets);
    expect(settled).toEqual([aborted, ...[0, 1, 2].filter((index) => index !== aborted)]);
  });

  test('with different timeouts, and items that come while the first waits', async () => {
    const settled: number[] = [];
    const gets = [10_000, 20_000, 30_000, 40_000].map(async (timeoutMs, index) => {
      const item = await queue.get({ timeoutMs });
      settled.push(index);
      return item;
    });
    await waiting();
    await backing.putMany(['a', 'b', 'c', 'd']);
    expect(await Promise.all(gets)).toEqual(['a', 'b', 'c', 'd']);
    expect(settled).toEqual([0, 1, 2, 3]);
  });
});
