/** A served queue that does not wait by itself: its clients do. */
import { QueueEmptyError, QueueFullError } from '../../lib';
import type { QueueLike } from '../../lib';
import { failsInTime } from '../../lib/testing/harness';
import { Fixture } from './support/fixture';

class Impatient implements QueueLike<string> {
  private readonly items: string[] = [];

  put(item: string): void {
    if (this.items.length > 0) throw new QueueFullError();
    this.items.push(item);
  }

  get(): string {
    if (this.items.length === 0) throw new QueueEmptyError();
    return this.items.shift()!;
  }

  empty(): boolean {
    return this.items.length === 0;
  }

  qsize(): number {
    return this.items.length;
  }
}

const fixture = new Fixture();
afterEach(() => fixture.end());

test('gets and puts of clients wait', async () => {
  const { port } = await fixture.serve({ queues: { q: new Impatient() } });
  const [reader, writer] = [fixture.client<string>(port), fixture.client<string>(port)];
  await reader.qsize();
  await failsInTime(() => reader.get({ timeoutMs: 200 }), 'ERR_QUEUE_EMPTY', 200);
  const reading = (async () => [await reader.get(), await reader.get(), await reader.get()])();
  expect(await writer.putMany(['a', 'b', 'c'])).toBe(3);
  expect(await reading).toEqual(['a', 'b', 'c']);
});
