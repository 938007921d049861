/**
 * A connection breaks while its first frame is on the way, and that one comes late: after the client's next stream, on which it has been given
 * an item already. The late one is nobody's any more, and takes nothing from the other.
 */
import assert from 'node:assert/strict';
import { OneClient } from './one-client';
import { runSchedules } from './run-schedules';

const LATE_MS = 500;

void runSchedules('a stream that is overtaken', 1, async (loop) => {
  const client = new OneClient(loop, 'overtaken', { wayMs: LATE_MS });
  const { keeper } = client;
  await loop.outcome(keeper.put(7));
  const got: number[] = [];
  void client.queue.get().then((item) => got.push(item));
  const began = loop.now;
  await loop.advance(began + 1);
  client.wayMs = 2;
  client.network.linkTo(1)!.breakOff({ isLost: false, hearsAfterMs: 2 * LATE_MS });
  await client.until(async () => (await loop.outcome(keeper.stats())).leased! > 0);
  // The item is on its way, and its confirmation is not, when the late stream comes.
  client.wayMs = LATE_MS;
  assert(loop.now < began + LATE_MS, 'the second stream is served before the first one comes');
  await loop.advance(loop.now + 3 * LATE_MS);
  assert.deepEqual(got, [7]);
  await loop.advance(loop.now + 3 * LATE_MS);
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false }).catch(() => [])), [], 'it comes again');

  client.wayMs = 0;
  await client.close();
  await client.end();
});
