/** putMany over a source that is silent: what ends the call does not wait for it to speak. */
import { QueueClosedError, QueueFullError, QueueShutDownError } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

/** Yields two items, then nothing more, and does not even answer return(). */
class SilentSource implements AsyncIterable<string> {
  returned = 0;
  asked = 0;

  [Symbol.asyncIterator](): AsyncIterator<string> {
    return {
      next: async () => {
        if (++this.asked > 2) await new Promise(() => {});
        return { done: false, value: `item ${this.asked}` };
      },
      return: () => {
        this.returned++;
        return new Promise(() => {});
      },
    };
  }
}

test.each(['abort', 'close', 'shutdown'])('%s ends it, and what had been put counts', async (end) => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<string>(port);
  const source = new SilentSource();
  const controller = new AbortController();
  const reason = new Error('enough');
  const putting = errorOf(queue.putMany(source, { signal: controller.signal }));
  await until(async () => (await backing.qsize()) === 2);
  // Its answer comes after the one of the puts.
  await queue.qsize();
  if (end === 'abort') controller.abort(reason);
  else await queue[end as 'close' | 'shutdown']();
  const error = await putting;
  if (end === 'abort') expect(error).toBe(reason);
  else expect(error).toBeInstanceOf(end === 'close' ? QueueClosedError : QueueShutDownError);
  expect(error).toMatchObject({ accepted: 2 });
  expect(source.returned).toBe(1);
});

test('an abort in the turn in which items were read', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client<string>(port);
  await queue.put('first');
  const controller = new AbortController();
  const reason = new Error('enough');
  const source = new SilentSource();
  const putting = errorOf(queue.putMany(source, { signal: controller.signal }));
  while (source.asked < 3) await Promise.resolve();
  controller.abort(reason);
  expect(await putting).toBe(reason);
  expect(reason).toMatchObject({ accepted: 0 });
  expect(await backing.getMany(3)).toEqual(['first']);
});

test('a put of its own that fails ends it', async () => {
  const { port } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client<string>(port);
  const other = fixture.client<string>(port);
  const full = await errorOf(queue.putMany(new SilentSource(), { timeoutMs: 50 }));
  expect(full).toBeInstanceOf(QueueFullError);
  expect(full).toMatchObject({ accepted: 1 });
  const source = new SilentSource();
  const putting = errorOf(queue.putMany(source));
  await until(async () => (await other.stats()).waitingPutters === 1);
  await other.shutdown();
  expect(await putting).toBeInstanceOf(QueueShutDownError);
  expect(source.returned).toBe(1);
});

test('a source that is never silent lets the event loop go on', async () => {
  const { port } = await fixture.serve({ maxsize: 4 });
  const queue = fixture.client<number>(port);
  await queue.qsize();
  let [asked, turns] = [0, 0];
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: false, value: asked++ }) }),
  };
  const counting = (): void => {
    turns++;
    if (!over) setImmediate(counting);
  };
  let over = false;
  setImmediate(counting);
  const error = await errorOf(queue.putMany(source, { block: false }));
  over = true;
  expect(error).toMatchObject({ code: 'ERR_QUEUE_FULL', accepted: 4 });
  expect(turns).toBeGreaterThanOrEqual(asked / 1000);
});
