import { QueueDescriptor, InvalidDescriptorError } from '../../lib/index';
import type { Metadata } from '../../lib/index';

// As SAGE's Python writes it: spaces after separators, \u escapes, a null namespace, extra keys of later versions.
const fromSage =
  '{"queue_id": "sage_9a6c65bb", "queue_type": "sage_queue", "metadata": {"maxsize": 1000, "auto_cleanup": true, "namespace": null, ' +
  '"enable_multi_tenant": true, "note": "\\u961f\\u5217"}, "created_timestamp": 1795458822.7179697, "class_name": "SageQueue", "can_serialize": true}';

test('the text that SAGE writes is read', () => {
  const descriptor = QueueDescriptor.fromJSON(fromSage);
  expect(descriptor.queueId).toBe('sage_9a6c65bb');
  expect(descriptor.queueType).toBe('sage_queue');
  expect(descriptor.metadata).toEqual({
    maxsize: 1000,
    auto_cleanup: true,
    namespace: null,
    enable_multi_tenant: true,
    note: '队列',
  });
  expect(descriptor.createdTimestamp).toBe(1795458822.7179697);
});

test('what is written has the four keys, in their order, and is read back equal', () => {
  const descriptor = QueueDescriptor.createShmQueue('id', 'name', { maxsize: 5 });
  const text = JSON.stringify(descriptor);
  expect(Object.keys(JSON.parse(text) as object)).toEqual(['queue_id', 'queue_type', 'metadata', 'created_timestamp']);
  const read = QueueDescriptor.fromJSON(text);
  expect(read.equals(descriptor)).toBe(true);
  expect(read.createdTimestamp).toBe(descriptor.createdTimestamp);
  expect(QueueDescriptor.fromJSON(JSON.parse(text)).equals(descriptor)).toBe(true);
});

test.each([
  ['local', QueueDescriptor.createLocalQueue(), { maxsize: 0 }],
  ['shm', QueueDescriptor.createShmQueue(undefined, 'n'), { shm_name: 'n', maxsize: 1000 }],
  ['ray_actor', QueueDescriptor.createRayActorQueue(undefined, 'a'), { actor_name: 'a', maxsize: 0 }],
  ['ray_queue', QueueDescriptor.createRayQueue(), { maxsize: 0 }],
  ['rpc', QueueDescriptor.createRpcQueue('localhost', 8080), { server_address: 'localhost', port: 8080 }],
])('%s: metadata and the made-up id', (prefix, descriptor, metadata) => {
  expect(descriptor.metadata).toEqual(metadata);
  expect(descriptor.queueId).toMatch(new RegExp(`^${prefix}_[0-9a-f]{8}$`));
  expect(descriptor.queueType).toBe(prefix);
});

test('sage_queue: metadata with the owner only where users are kept apart', () => {
  const metadata = { maxsize: 1000, auto_cleanup: true, namespace: null };
  const descriptor = QueueDescriptor.createSageQueue();
  expect(descriptor.queueId).toMatch(/^sage_[0-9a-f]{8}$/);
  expect(descriptor.metadata).toEqual({ ...metadata, enable_multi_tenant: true, owner_uid: process.getuid?.() });
  expect(QueueDescriptor.createSageQueue('x', { enableMultiTenant: false }).metadata).toEqual({
    ...metadata,
    enable_multi_tenant: false,
  });
});

test('native options are metadata only when given', () => {
  const { metadata } = QueueDescriptor.createShmQueue('x', 'n', { capacityBytes: 4096, codec: 'json', mode: 0o660 });
  expect(metadata).toEqual({ shm_name: 'n', maxsize: 1000, capacity_bytes: 4096, codec: 'json', mode: 0o660 });
});

test('auto says where its owner lives, and how to reach it from elsewhere', () => {
  const { metadata, queueId } = QueueDescriptor.createAutoQueue(undefined, { rpc: { serverAddress: 'far', port: 1 } });
  expect(queueId).toMatch(/^auto_[0-9a-f]{8}$/);
  expect(metadata).toMatchObject({ owner_uid: process.getuid?.() ?? null, rpc: { server_address: 'far', port: 1 } });
  expect(metadata).toHaveProperty('owner_boot_id');
  expect(metadata).toHaveProperty('owner_shm_device');
});

test('descriptors are frozen, all the way down, and copied from what was given', () => {
  const given = { list: [{ a: 1 }] };
  const descriptor = new QueueDescriptor({ queueId: 'q', queueType: 'own', metadata: given });
  (given.list[0] as { a: number }).a = 2;
  expect(descriptor.metadata).toEqual({ list: [{ a: 1 }] });
  expect(Object.isFrozen(descriptor)).toBe(true);
  expect(Object.isFrozen((descriptor.metadata.list as unknown[])[0])).toBe(true);
});

test.each([-1, 1.5, 'x', NaN, Infinity, 2 ** 60, true])('maxsize %p is an error in every factory', (value) => {
  const maxsize = value as number;
  const makers = [
    () => QueueDescriptor.createLocalQueue('q', { maxsize }),
    () => QueueDescriptor.createShmQueue('q', 'n', { maxsize }),
    () => QueueDescriptor.createSageQueue('q', { maxsize }),
    () => QueueDescriptor.createRayActorQueue('q', 'a', { maxsize }),
    () => QueueDescriptor.createRayQueue('q', { maxsize }),
    () => QueueDescriptor.createRpcQueue('h', 1, 'q', { maxsize }),
    () => QueueDescriptor.createAutoQueue('q', { maxsize }),
  ];
  for (const make of makers) expect(make).toThrow(InvalidDescriptorError);
});

test.each([0, -1, 65536, 1.5, '80', undefined, null])('port %p is an error', (port) => {
  expect(() => QueueDescriptor.createRpcQueue('h', port as number)).toThrow(InvalidDescriptorError);
});

test('an empty id, type, shm or actor name is an error', () => {
  for (const bad of ['', 1, null] as string[]) {
    expect(() => new QueueDescriptor({ queueId: bad, queueType: 't' })).toThrow(InvalidDescriptorError);
    expect(() => new QueueDescriptor({ queueId: 'q', queueType: bad })).toThrow(InvalidDescriptorError);
    expect(() => QueueDescriptor.createShmQueue('q', bad)).toThrow(InvalidDescriptorError);
    expect(() => QueueDescriptor.createRayActorQueue('q', bad)).toThrow(InvalidDescriptorError);
  }
});

test('metadata that JSON cannot hold is an error that names the place', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  for (const value of [NaN, Infinity, 1n, () => 1, Symbol('s'), new Date(0), new Map(), cycle, [undefined]]) {
    const metadata = { outer: { inner: value } } as unknown as Metadata;
    expect(() => new QueueDescriptor({ queueId: 'q', queueType: 't', metadata })).toThrow(InvalidDescriptorError);
  }
  const metadata = { outer: [1n] } as unknown as Metadata;
  expect(() => new QueueDescriptor({ queueId: 'q', queueType: 't', metadata })).toThrow('metadata.outer[0]');
});

test('clone keeps type and metadata, under the same id or another', () => {
  const descriptor = QueueDescriptor.createSageQueue('one', { maxsize: 7 });
  expect(descriptor.clone().equals(descriptor)).toBe(true);
  const other = descriptor.clone('two');
  expect(other.queueId).toBe('two');
  expect(other.metadata).toEqual(descriptor.metadata);
  expect(other.equals(descriptor)).toBe(false);
  expect(() => descriptor.clone('')).toThrow(InvalidDescriptorError);
});

test('equality is deep, whatever the order of keys, and does not count the timestamp', () => {
  const make = (metadata: Metadata, createdTimestamp: number): QueueDescriptor =>
    new QueueDescriptor({ queueId: 'q', queueType: 't', metadata, createdTimestamp });
  const one = make({ a: [1, { x: null }], b: 2 }, 1);
  expect(one.equals(make({ b: 2, a: [1, { x: null }] }, 2))).toBe(true);
  expect(one.equals(make({ b: 2, a: [1, { x: 0 }] }, 1))).toBe(false);
  expect(one.equals(make({ b: 2, a: { 0: 1, 1: { x: null } } }, 1))).toBe(false);
  expect(one.equals(make({ a: [1, { x: null }] }, 1))).toBe(false);
  expect(one.equals(null as unknown as QueueDescriptor)).toBe(false);
});

test('a missing or null timestamp means now', () => {
  for (const extra of [{}, { created_timestamp: null }]) {
    const before = Date.now() / 1000;
    const { createdTimestamp } = QueueDescriptor.fromJSON({ queue_id: 'q', queue_type: 't', metadata: {}, ...extra });
    expect(createdTimestamp).toBeGreaterThanOrEqual(before);
    expect(createdTimestamp).toBeLessThanOrEqual(Date.now() / 1000);
  }
});

test('hostile input is an InvalidDescriptorError, never half a descriptor and never a changed prototype', () => {
  const good = '"queue_id":"q","queue_type":"t"';
  const texts = [
    ...[
      '',
      'null',
      '[]',
      '1',
      '"x"',
      '{}',
      '{',
      `{${good},"metadata":[]}`,
      `{${good},"metadata":"x"}`,
      `{${good},"created_timestamp":"now"}`,
    ],
    `{${good},"created_timestamp":true}`,
    '{"__proto__":{"queue_id":"q","queue_type":"t","metadata":{}}}',
    '{"queue_id":{"toString":"q"},"queue_type":"t"}',
    `{${good},"metadata":{"deep":${'['.repeat(5000)}${']'.repeat(5000)}}}`,
    '{"queue_id":"q","queue_type":"shm","metadata":{"maxsize":-1}}',
  ];
  for (const text of texts) expect(() => QueueDescriptor.fromJSON(text)).toThrow(InvalidDescriptorError);
  const trap = Object.defineProperty({}, 'queue_id', { get: () => { throw new Error('trap'); } }); // prettier-ignore
  for (const value of [undefined, null, 1, Symbol('s'), () => 1, trap]) {
    expect(() => QueueDescriptor.fromJSON(value)).toThrow(InvalidDescriptorError);
  }
  const harmless = QueueDescriptor.fromJSON(`{${good},"metadata":{"__proto__":{"polluted":1},"constructor":2}}`);
  expect((harmless.metadata as Record<string, unknown>).polluted).toBeUndefined();
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  expect(JSON.stringify(harmless.toJSON().metadata)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
});

test('an integer that a number would round is refused in metadata, with its path', () => {
  const text = (number: string): string =>
    `{"queue_id":"q","queue_type":"custom","metadata":{"deep":[{"big":${number}}]},"created_timestamp":1.5,"extra":9223372036854775807}`;
  expect(() => QueueDescriptor.fromJSON(text('9223372036854775807'))).toThrow(
    expect.objectContaining({
      code: 'ERR_DESCRIPTOR_INVALID',
      message: expect.stringContaining('metadata.deep[0].big') as string,
    }),
  );
  expect(() => QueueDescriptor.fromJSON(text('1E400'))).toThrow(
    expect.objectContaining({ code: 'ERR_DESCRIPTOR_INVALID' }),
  );
  expect(QueueDescriptor.fromJSON(text('9007199254740991')).metadata.deep).toEqual([{ big: 2 ** 53 - 1 }]);
  for (const big of [2 ** 60, -(2 ** 70), 123456789012345680000]) {
    const made = new QueueDescriptor({ queueId: 'q', queueType: 'custom', metadata: { big } });
    expect(QueueDescriptor.fromJSON(JSON.stringify(made)).metadata).toEqual({ big });
  }
});
