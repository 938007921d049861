/** putMany says how many items went in also where its source throws what cannot carry a number. */
import { attachToShmQueue, getLocalQueue, QueueError } from '../../lib/index';
import type { Queue } from '../../lib/index';

const makers: Record<string, () => Queue> = {
  local: () => getLocalQueue('fixwrap-source'),
  shm: () => attachToShmQueue(undefined, 'fixwrap-source'),
};

const frozen = Object.freeze(new Error('frozen'));

describe.each(Object.entries(makers))('%s', (_type, make) => {
  let queue: Queue;

  beforeEach(() => {
    queue = make();
  });

  afterEach(async () => {
    await queue.getMany(10, { block: false }).catch(() => {});
    await queue.close();
  });

  it.each<[string, unknown]>([
    ['a primitive', 'the source broke'],
    ['a frozen error', frozen],
  ])('%s becomes the cause', async (_name, thrown) => {
    const sources = [
      (function* () {
        yield 1;
        throw thrown;
      })(),
      (async function* () {
        yield 2;
        throw thrown;
      })(),
    ];
    for (const source of sources) {
      const error: unknown = await queue.putMany(source).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(QueueError);
      expect(error).toMatchObject({ code: 'ERR_QUEUE_SOURCE', accepted: 1, cause: thrown });
    }
  });

  it('the reason of a signal stays what it is, whatever it is', async () => {
    const controller = new AbortController();
    const source = (async function* () {
      yield 1;
      controller.abort('enough');
      yield 2;
    })();
    await expect(queue.putMany(source, { signal: controller.signal })).rejects.toBe('enough');
  });
});
