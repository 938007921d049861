/** Any number of calls may wait for one signal: more than ten listeners on it would be taken for a leak. */
import { getEventListeners } from 'node:events';
import { AT_ONCE } from '../../lib/wait/options';
import { ActorCall } from '../../lib/transports/ray/actor/pending-call';
import { getRayQueue } from '../../lib/index';

test('calls that wait for the cluster', async () => {
  const queue = getRayQueue('shared-signal', { address: 'ray://127.0.0.1:1' });
  const controller = new AbortController();
  const { signal } = controller;
  const outcomes = Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? queue.get({ signal }) : queue.put(n, { signal }))),
  );
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: signal.reason });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  await queue.close();
}, 20_000);

test('calls that wait for the actor', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const calls: ActorCall<number>[] = [];
  for (let n = 0; n < 20; n++) {
    calls.push(new ActorCall<number>({ ...AT_ONCE, signal }, { what: 'get', answerMs: 10_000, interrupt: () => {} }));
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  for (const call of calls) {
    // The actor has it in hand: its answer counts.
    expect(call).toMatchObject({ isAborted: true, settled: false });
    call.resolve(1);
    expect(await call.promise).toBe(1);
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
