/** A queue in memory ends with its last producer. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { getLocalQueue, QueueDescriptor, resolveDescriptor } from '../../lib/index';
import type { Queue, ResolveOptions } from '../../lib/index';

let count = 0;
const freshId = (): string => `producers-${count++}`;
const produce = (id: string, producer: ResolveOptions['producer']): Queue<string> =>
  resolveDescriptor<string>(QueueDescriptor.createLocalQueue(id), { producer });
const shutDown = expect.objectContaining({ code: 'ERR_QUEUE_SHUT_DOWN' }) as Error;

test('readers drain and end when the last of the expected producers has closed, not before', async () => {
  const id = freshId();
  const reader = getLocalQueue<string>(id);
  const first = produce(id, { expect: 2 });
  await first.put('a');
  await first.close();
  expect(await reader.get()).toBe('a');
  await expect(reader.get({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  const second = produce(id, { expect: 2 });
  const waiting = reader.get();
  await second.put('b');
  expect(await waiting).toBe('b');
  const end = reader.get();
  await second.close();
  await expect(end).rejects.toEqual(shutDown);
  await expect(reader.put('late')).rejects.toEqual(shutDown);
  await reader.close();
});

test('the end stays until a reader has seen it, and then the name is free', async () => {
  const id = freshId();
  await produce(id, true).close();
  const reader = getLocalQueue(id);
  await expect(reader.get()).rejects.toEqual(shutDown);
  await reader.close();
  const fresh = getLocalQueue(id);
  await expect(fresh.get({ block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_EMPTY' });
  await fresh.close();
});

test('a second close of a producer does not count, a handle that is no producer neither', async () => {
  const id = freshId();
  const [first, second, other] = [produce(id, { expect: 2 }), produce(id, { expect: 2 }), getLocalQueue<string>(id)];
  await first.close();
  await first.close();
  await other.close();
  await second.put('still open');
  const reader = getLocalQueue(id);
  expect(await reader.get()).toBe('still open');
  await second.close();
  await expect(reader.get()).rejects.toEqual(shutDown);
  await reader.close();
});

test.each([
  { producer: { expect: 0 } },
  { producer: { expect: 1.5 } },
  { producer: { expect: 2 ** 32 } },
  { producer: 'yes' },
])('%j is refused', (options) => {
  expect(() => resolveDescriptor(QueueDescriptor.createLocalQueue(freshId()), options as ResolveOptions)).toThrow(
    expect.objectContaining({ code: 'ERR_DESCRIPTOR_INVALID' }) as Error,
  );
});

test('where nobody can prove that a producer has gone, the role is refused', () => {
  const descriptor = QueueDescriptor.createRpcQueue('127.0.0.1', 1, 'jobs');
  expect(() => resolveDescriptor(descriptor, { producer: true })).toThrow(/producer is for handles of type local/);
});

test('a producer whose handle the collector takes is lost', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const id = freshId();
  const reader = getLocalQueue<string>(id);
  await (async () => {
    await produce(id, true).put('a');
  })();
  expect(await reader.get()).toBe('a');
  const end = reader.get().catch((error: unknown) => error);
  let isOver = false;
  void end.then(() => (isOver = true));
  while (!isOver) {
    collect();
    await new Promise(setImmediate);
  }
  expect(await end).toMatchObject({ code: 'ERR_QUEUE_PRODUCER_LOST' });
  await expect(reader.get()).rejects.toMatchObject({ code: 'ERR_QUEUE_PRODUCER_LOST' });
  await reader.close();
});
