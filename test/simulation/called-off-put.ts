/** A put that a server took before it died, and that is called off at the next one: whoever made it is told that it may be in. */
import assert from 'node:assert/strict';
import { OneClient } from './one-client';
import { runSchedules } from './run-schedules';

void runSchedules('a put that is called off', 1, async (loop) => {
  const client = new OneClient(loop, 'called-off', { wayMs: 5, maxsize: 1 });
  const put = client.queue.put(7).catch((error: unknown) => error);
  await client.until(async () => (await client.size()) > 0);
  client.replaceServer();
  // It waits for room there.
  await loop.advance(loop.now + 200);
  await client.close();
  const { code, outcome } = (await loop.outcome(put)) as { code?: string; outcome?: string };
  assert.deepEqual({ code, outcome }, { code: 'ERR_QUEUE_CLOSED', outcome: 'unknown' });
  assert.equal(await loop.outcome(client.keeper.get()), 7);
  await client.end();
});
