import { getEventListeners } from 'node:events';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test('before the first connection', async () => {
  const queue = fixture.client(1);
  for (const call of [
    (signal: AbortSignal) => queue.get({ signal }),
    (signal: AbortSignal) => queue.put(1, { signal }),
    (signal: AbortSignal) => queue.putMany([1, 2], { signal }),
  ]) {
    const controller = new AbortController();
    const reason = new Error('enough');
    const error = errorOf(call(controller.signal));
    setTimeout(() => controller.abort(reason), 20);
    expect(await error).toBe(reason);
    expect(await errorOf(call(AbortSignal.abort(reason)))).toBe(reason);
  }
}, 20_000);

test('while the queue is empty, and while it is full', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client(port);
  const reason = new Error('enough');
  const getting = new AbortController();
  const got = errorOf(queue.get({ signal: getting.signal }));
  await until(async () => (await backing.stats()).waitingGetters === 1);
  getting.abort(reason);
  expect(await got).toBe(reason);
  await until(async () => (await backing.stats()).waitingGetters === 0);
  await backing.put('a');
  expect(await backing.qsize()).toBe(1);

  const putting = new AbortController();
  const put = errorOf(queue.put('b', { signal: putting.signal }));
  await until(async () => (await backing.stats()).waitingPutters === 1);
  putting.abort(reason);
  expect(await put).toBe(reason);
  expect(await backing.get()).toBe('a');
  expect(await backing.empty()).toBe(true);
});

test('one of several waiting puts: the others keep their order', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client(port);
  await queue.put(0);
  const controller = new AbortController();
  const first = queue.put(1);
  const second = errorOf(queue.put(2, { signal: controller.signal }));
  const third = queue.put(3);
  await until(async () => (await backing.stats()).waitingPutters === 1);
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await second).toBe(reason);
  expect([await backing.get(), await backing.get(), await backing.get()]).toEqual([0, 1, 3]);
  await Promise.all([first, third]);
});

test('an item on its way to an aborted get is not lost, at whatever moment', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client(port);
  expect(await queue.qsize()).toBe(0);
  let delivered = 0;
  for (let round = 0; round < 60; round++) {
    const controller = new AbortController();
    const got = queue.get({ signal: controller.signal }).then(
      () => true,
      () => false,
    );
    await backing.put(round);
    for (let turn = 0; turn < round % 12; turn++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error('enough'));
    if (await got) delivered++;
    else expect(await queue.get({ timeoutMs: 2000 })).toBe(round);
    await until(async () => (await backing.qsize()) === 0);
  }
  expect((await backing.stats()).getTotal).toBe(60);
  expect(delivered).toBeGreaterThan(0);
});

test('while the connection is down, for what was sent and what was not', async () => {
  const { port: direct, backing } = await fixture.serve();
  const { proxy, port } = await fixture.proxy(direct);
  const queue = fixture.client(port);
  await queue.put('first');
  proxy.refusing = true;
  proxy.deaf = 'toClient';
  const reason = new Error('enough');
  const controller = new AbortController();
  const sent = errorOf(queue.put('second', { signal: controller.signal }));
  await until(async () => (await backing.qsize()) === 2);
  const got = errorOf(queue.get({ signal: controller.signal }));
  proxy.cut();
  const unsent = errorOf(queue.put('third', { signal: controller.signal }));
  controller.abort(reason);
  expect(await sent).toBe(reason);
  expect(await got).toBe(reason);
  expect(await unsent).toBe(reason);
  proxy.refusing = false;
  proxy.deaf = 'none';
  // The put that had arrived stays; nothing else came, nothing is gone.
  expect(await queue.getMany(10)).toEqual(['first', 'second']);
});

test('any number of calls wait for one signal with one listener on it', async () => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  await backing.put('full');
  const queue = fixture.client(port);
  const controller = new AbortController();
  const { signal } = controller;
  const outcomes = Promise.allSettled([
    ...Array.from({ length: 20 }, () => queue.put('x', { signal })),
    ...Array.from({ length: 20 }, () => queue.putMany(['x', 'y'], { signal })),
  ]);
  await until(async () => (await backing.stats()).waitingPutters === 1);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: signal.reason });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
