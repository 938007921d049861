/**
 * A call that Ray never answers, as it may be with one that meets an actor while it restarts: it is made again in another epoch, and
 * what the first one did is neither lost nor done twice.
 */
import { RayClient } from '../../lib/ray';
import { QueueActorBackend } from '../../lib/transports/ray/actor/queue-actor-backend';
import type { Delivery } from '../../lib/transports/ray/actor/backend';
import { fakeQueueActor } from './fake-queue-actor';
import { FakeRay, type Methods, silence } from './fake-ray';

/** Instead of the 40 s that real clusters are given. A busy machine may take longer over an answer: then a call is made once more. */
const SILENT_MS = 300;
const WAIT = { timeoutMs: Infinity, signal: undefined };

let ray: FakeRay;
let client: RayClient;
let actor: Methods;
const open: QueueActorBackend[] = [];

beforeEach(async () => {
  ray = await new FakeRay().start();
  client = new RayClient({ address: ray.address });
  actor = fakeQueueActor(0);
  ray.actors.set('jobs', actor);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((backend) => backend.close()));
  await client.close();
  await ray.stop();
});

async function attached(): Promise<QueueActorBackend> {
  const backend = new QueueActorBackend(client, (await client.getActor('jobs'))!, 20_000, 10_000, SILENT_MS);
  open.push(backend);
  await backend.attach();
  return backend;
}

/** The next calls of a method reach the actor (or do not), and are not answered. */
function leaveUnanswered(method: string, reach: 'done' | 'lost', count = 1): void {
  const usual = actor[method]!;
  let left = count;
  actor[method] = (args, kwargs) => {
    if (left-- <= 0) return usual(args, kwargs);
    if (reach === 'done') void usual(args, kwargs);
    return silence();
  };
}

const values = (deliveries: Delivery[]): unknown[] =>
  deliveries.map(({ item }) => ('value' in item ? item.value : item));

describe.each(['done', 'lost'] as const)('%s', (reach) => {
  test('a put: the item is in the queue, once', async () => {
    const backend = await attached();
    leaveUnanswered('sage_put', reach);
    await backend.put('item', WAIT);
    await backend.put('next', WAIT);
    expect(ray.calls.get('sage_hello')).toBeGreaterThan(1);
    expect(values(await backend.take(10, WAIT))).toEqual(['item', 'next']);
    expect(await backend.state()).toMatchObject({ putTotal: 2, qsize: 0, leased: 2 });
  });

  test('a take: what it had on lease comes again', async () => {
    const backend = await attached();
    await backend.put('held', WAIT);
    const [held] = await backend.take(1, WAIT);
    await backend.put('item', WAIT);
    leaveUnanswered('sage_take', reach);
    const [again] = await backend.take(5, WAIT);
    expect(values([again!])).toEqual(['item']);
    expect(again!.deliveries).toBeGreaterThan(reach === 'done' ? 1 : 0);
    // What this handle holds it still holds.
    expect((await backend.state()).leased).toBe(2);
    await Promise.all([held!.endNow('ack'), again!.endNow('ack')]);
    expect(await backend.state()).toMatchObject({ qsize: 0, leased: 0, getTotal: 2 });
  });

  test('an acknowledgement: it is made, once', async () => {
    const backend = await attached();
    await backend.put('item', WAIT);
    const [item] = await backend.take(1, WAIT);
    leaveUnanswered('sage_state', reach);
    await item!.endNow('ack');
    expect(await backend.state()).toMatchObject({ qsize: 0, leased: 0, getTotal: 1 });
  });

  test('a join', async () => {
    const backend = await attached();
    await backend.put('item', WAIT);
    const [item] = await backend.take(1, WAIT);
    leaveUnanswered('sage_join', reach);
    let isOver = false;
    const join = backend.join(WAIT).then(() => (isOver = true));
    while ((ray.calls.get('sage_join') ?? 0) < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(isOver).toBe(false);
    await item!.endNow('ack');
    await join;
  });

  test('a greeting, twice in a row', async () => {
    leaveUnanswered('sage_hello', reach, 2);
    const backend = await attached();
    expect(ray.calls.get('sage_hello')).toBeGreaterThan(2);
    await backend.put('item', WAIT);
    expect((await backend.state()).qsize).toBe(1);
  });
});
