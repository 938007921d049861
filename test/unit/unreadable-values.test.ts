/** Values that throw when they are looked at: getters and proxies of the caller's. */
import { getLocalQueue, QueueDescriptor } from '../../lib/index';
import type { Metadata } from '../../lib/index';
import { encodeItem, encodeItemSpan } from '../../lib/codec/registry';

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const trap = {
  get maxsize(): number {
    throw new Error('out of reach');
  },
};

test.each<[string, () => unknown]>([
  ['a getter that throws', () => trap],
  ['a nested one', () => ({ nested: [trap] })],
  ['a revoked proxy', revoked],
  ['a nested one', () => ({ nested: revoked() })],
])('metadata with %s is an invalid descriptor', (_name, metadata) => {
  expect(() => new QueueDescriptor({ queueId: 'q', queueType: 'custom', metadata: metadata() as Metadata })).toThrow(
    expect.objectContaining({ code: 'ERR_DESCRIPTOR_INVALID' }),
  );
});

test.each(['auto', 'msgpack', 'json', 'v8', 'raw'])('a revoked proxy cannot be encoded by %s', (codec) => {
  const refusal = expect.objectContaining({ code: 'ERR_ITEM_SERIALIZATION' });
  expect(() => encodeItem(revoked(), codec)).toThrow(refusal);
  expect(() => encodeItemSpan(revoked(), codec)).toThrow(refusal);
  if (codec !== 'raw') expect(() => encodeItem({ nested: revoked() }, codec)).toThrow(refusal);
});

test('a revoked proxy does not go into a local queue, out of which no promise could bring it', async () => {
  const queue = getLocalQueue('fixwrap-revoked');
  const refusal = { code: 'ERR_ITEM_SERIALIZATION' };
  await expect(queue.put(revoked())).rejects.toMatchObject(refusal);
  await expect(queue.putMany([1, revoked()])).rejects.toMatchObject({ ...refusal, accepted: 1 });
  expect(await queue.getMany(10)).toEqual([1]);
  await queue.close();
});
