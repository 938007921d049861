/**
 * A putMany of several batches, the second of which a server took and whose answer was lost, of a client that comes back after longer than it is
 * remembered: what follows it is not put behind a hole, and `accepted` counts what is in before it.
 */
import assert from 'node:assert/strict';
import { OneClient } from './one-client';
import { runSchedules } from './run-schedules';
import { REMEMBER_MS } from './simulated-server';

const WAY_MS = 5;

void runSchedules('a hole in a batch', 1, async (loop) => {
  const client = new OneClient(loop, 'hole', { wayMs: WAY_MS });
  const { network, queue, keeper } = client;
  const source = async function* (): AsyncGenerator<number> {
    for (let number = 0; number < 4; number++) {
      yield number;
      await new Promise((resolve) => setTimeout(resolve, 4 * WAY_MS));
    }
  };
  const putting = queue.putMany(source()).catch((error: unknown) => error);
  await client.until(async () => (await client.size()) === 2);
  // Its next stream is on its way for longer than it is remembered, and its source speaks meanwhile.
  client.wayMs = 0;
  network.linkTo(1)!.breakOff();
  await loop.advance(loop.now + 1);
  client.wayMs = 2 * REMEMBER_MS;
  await loop.advance(loop.now + REMEMBER_MS / 2);
  const { code, outcome, accepted } = (await client.ends(putting)) as Record<string, unknown>;
  assert.deepEqual({ code, outcome, accepted }, { code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown', accepted: 1 });
  await loop.advance(loop.now + 8 * REMEMBER_MS);
  client.wayMs = WAY_MS;
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false })), [0, 1]);

  await client.close();
  await client.end();
});
