/**
 * A put that a server took and whose answer was lost, of a client that comes back after longer than it is remembered and misses that it was
 * forgotten, since its connection breaks again: on the third one the server must not know it as one that never sent anything.
 */
import assert from 'node:assert/strict';
import { OneClient } from './one-client';
import { runSchedules } from './run-schedules';
import { REMEMBER_MS } from './simulated-server';

const WAY_MS = 5;

void runSchedules('a client that is forgotten', 1, async (loop) => {
  const client = new OneClient(loop, 'forgotten', { wayMs: WAY_MS });
  const { network, queue, keeper } = client;
  const put = queue.put(7).then(
    () => ({ code: 'none', outcome: 'in' }),
    (error: unknown) => error,
  );
  await client.until(async () => (await client.size()) === 1);
  // The server hears of it at once; the client's loop is late.
  client.wayMs = 0;
  network.linkTo(1)!.breakOff({ clientHearsAfterMs: 100 });
  await loop.advance(loop.now + WAY_MS);
  client.wayMs = WAY_MS;
  loop.now += 2 * REMEMBER_MS;
  // It is there, and its answer on the way.
  await client.until(() => network.linkTo(1)?.isUp === true);
  network.linkTo(1)!.breakOff();
  await loop.advance(loop.now + 2000);
  const { code, outcome } = (await loop.outcome(put)) as { code?: string; outcome?: string };
  assert.deepEqual({ code, outcome }, { code: 'ERR_QUEUE_CONNECTION', outcome: 'unknown' });
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false })), [7]);

  // From then on it is known again.
  let isIn = false;
  void queue.put(8).then(() => (isIn = true));
  await client.until(async () => (await client.size()) === 1);
  network.linkTo(1)!.breakOff();
  await client.until(() => isIn);
  assert.deepEqual(await loop.outcome(keeper.getMany(10, { block: false })), [8]);

  await client.close();
  await client.end();
});
