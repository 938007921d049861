/** A served queue that does not wait by itself: its clients do. */
import { failsInTime } from '../../lib/testing/harness';
import { OneItem } from '../adapter/queues';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('gets and puts of clients wait', async () => {
  const { port } = await fixture.serve({ queues: { q: new OneItem<string>() } });
  const [reader, writer] = [fixture.client<string>(port), fixture.client<string>(port)];
  await reader.qsize();
  await failsInTime(() => reader.get({ timeoutMs: 200 }), 'ERR_QUEUE_EMPTY', 200);
  const reading = (async () => [await reader.get(), await reader.get(), await reader.get()])();
  expect(await writer.putMany(['a', 'b', 'c'])).toBe(3);
  expect(await reading).toEqual(['a', 'b', 'c']);
});
