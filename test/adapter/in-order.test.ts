/** Calls of many items stand in line as one call, beside those of one; what is on lease keeps its place. */
import { QueueDescriptor, wrapQueue } from '../../lib/index';
import type { Queue } from '../../lib/index';
import { turn } from '../../lib/testing/harness';
import { OneItem } from './queues';

class OneItemLater extends OneItem<string> {
  override async put(item: string): Promise<void> {
    await super.put(item);
  }

  override async get(): Promise<string> {
    return super.get();
  }
}

describe.each([OneItem, OneItemLater])('over %p', (Inner) => {
  let inner: OneItem<string>;
  let queue: Queue<string>;

  beforeEach(() => {
    inner = new Inner();
    const descriptor = new QueueDescriptor({ queueId: 'order', queueType: 'one', metadata: { maxsize: 1 } });
    queue = wrapQueue<string>(inner, descriptor);
  });

  afterEach(() => queue.close());

  const drain = async (count: number): Promise<string[]> => {
    const items: string[] = [];
    while (items.length < count) items.push(await queue.get());
    return items;
  };

  test.each(['array', 'iterable', 'source'])('a put waits for the putMany before it (%s)', async (form) => {
    const items = ['a0', 'a1', 'a2'];
    const source = async function* (): AsyncGenerator<string> {
      yield* items;
    };
    const many = queue.putMany(form === 'array' ? items : form === 'iterable' ? new Set(items) : source());
    const one = queue.put('b');
    expect(await drain(4)).toEqual(['a0', 'a1', 'a2', 'b']);
    expect(await many).toBe(3);
    await one;
  });

  test('a putMany waits for the put before it', async () => {
    await queue.put('a');
    const one = queue.put('b');
    const many = queue.putMany(['c0', 'c1']);
    expect(await drain(4)).toEqual(['a', 'b', 'c0', 'c1']);
    await Promise.all([one, many]);
  });

  test('a put passes a putMany whose source is silent', async () => {
    let speak!: (item: string) => void;
    const said = new Promise<string>((resolve) => (speak = resolve));
    const many = queue.putMany(
      (async function* () {
        yield await said;
      })(),
    );
    await turn();
    await turn();
    await queue.put('b');
    expect(await queue.get()).toBe('b');
    speak('a');
    expect(await queue.get()).toBe('a');
    expect(await many).toBe(1);
  });

  test('a get waits for the getMany before it', async () => {
    const many = queue.getMany(2);
    const one = queue.get();
    await queue.putMany(['a', 'b', 'c']);
    // How many it takes is its own affair, but it takes the first ones.
    const taken = await many;
    expect([...taken, await one]).toEqual(['a', 'b', 'c'].slice(0, taken.length + 1));
  });

  test('a lease keeps its place: the queue is full, and a put waits until it ends', async () => {
    await queue.put('a');
    const lease = await queue.lease();
    expect(await queue.full()).toBe(true);
    await expect(queue.put('b', { block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' });
    const waiting = queue.put('b');
    await turn();
    expect(inner.items).toEqual([]);
    await lease.ack();
    await waiting;
    expect(await queue.get()).toBe('b');
    expect(await queue.full()).toBe(false);
  });

  test('a lease that is waited for takes its place as it takes its item', async () => {
    const leasing = queue.leaseMany(2);
    const puts = Promise.allSettled([queue.put('a'), queue.put('b', { timeoutMs: 50 })]);
    const batch = await leasing;
    expect(batch.items).toEqual(['a']);
    const [, second] = await puts;
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'ERR_QUEUE_FULL' } });
    await batch.release();
    expect(await queue.get()).toBe('a');
  });

  test('what was on lease when the handle was closed goes back as soon as there is room', async () => {
    await queue.put('a');
    await queue.lease();
    inner.items.push('elsewhere');
    const closing = queue.close();
    await turn();
    inner.items.pop();
    await closing;
    expect(inner.items).toEqual(['a']);
  });

  test('nothing comes back after an immediate shutdown, and who waits hears of it at once', async () => {
    await queue.put('a');
    const lease = await queue.lease();
    const waiting = queue.get();
    await turn();
    await queue.shutdown({ immediate: true });
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_QUEUE_SHUT_DOWN' });
    await lease.release();
    expect(await queue.empty()).toBe(true);
  });

  test('an aborted putMany says how many are in', async () => {
    const controller = new AbortController();
    const reason = Object.assign(new Error('enough'), { accepted: -1 });
    const many = queue.putMany(['a', 'b', 'c'], { signal: controller.signal });
    expect(await queue.get()).toBe('a');
    await turn();
    await turn();
    controller.abort(reason);
    await expect(many).rejects.toBe(reason);
    expect(reason.accepted).toBe(1 + inner.items.length);
  });
});
