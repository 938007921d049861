/** A queue's URI is read in one place, for programs and for the command line. */
import { InvalidDescriptorError, QueueDescriptor, resolveDescriptor } from '../../lib';

// prettier-ignore
test.each<[string, string, string, object]>([
  ['shm:jobs', 'shm', 'jobs', { shm_name: 'jobs', maxsize: 1000 }],
  ['shm:a%20b:c', 'shm', 'a%20b:c', { shm_name: 'a%20b:c' }],
  ['sage:jobs', 'sage_queue', 'jobs', { maxsize: 1000, auto_cleanup: true }],
  ['rpc://host.example:5000/jobs', 'rpc', 'jobs', { server_address: 'host.example', port: 5000 }],
  ['rpc://[::1]:5000/a/b%2Fc%20d', 'rpc', 'a/b/c d', { server_address: '::1', port: 5000 }],
  ['rpc+unix:/run/sage.sock#jobs', 'rpc', 'jobs', { server_address: 'unix:/run/sage.sock' }],
  ['ray://head:10001/jobs', 'ray_queue', 'jobs', { address: 'ray://head:10001' }],
  ['ray-actor://[::1]:10001/jobs', 'ray_actor', 'jobs', { address: 'ray://[::1]:10001', actor_name: 'jobs' }],
])('%s', (uri, queueType, queueId, metadata) => {
  const descriptor = QueueDescriptor.fromURI(uri);
  expect(descriptor).toMatchObject({ queueType, queueId });
  expect(descriptor.metadata).toMatchObject(metadata);
  expect(QueueDescriptor.fromJSON(JSON.stringify(descriptor)).equals(descriptor)).toBe(true);
});

test.each([
  '', 'jobs', 'shm:', 'shm://jobs', 'sage:', 'local:jobs', '@file.json', 'rpc://host/jobs', 'rpc://host:0/jobs', 'rpc://host:65536/jobs',
  'rpc://host:1/', 'rpc://:1/q', 'rpc://user@host:1/q', 'rpc://host:1/%zz', 'rpc+unix:run#q', 'rpc+unix:/run', 'ray://head/q', 'http://host:1/q',
  '{"queue_id":"q"}', 7, null, undefined,
])('%p is none', (uri) => {
  expect(() => QueueDescriptor.fromURI(uri as string)).toThrow(InvalidDescriptorError);
}); // prettier-ignore

test('resolveDescriptor takes one; fromJSON does not', async () => {
  await expect(async () => resolveDescriptor('rpc://host:99999/q')).rejects.toThrow(/port from 1 to 65535/);
  expect(() => resolveDescriptor('local:q')).toThrow(/names no queue/);
  expect(() => resolveDescriptor('jobs')).toThrow(InvalidDescriptorError);
  expect(() => QueueDescriptor.fromJSON('shm:jobs')).toThrow(InvalidDescriptorError);
});

test('an object with camelCase keys is a structured clone; both forms keep to their own keys', () => {
  const made = QueueDescriptor.createLocalQueue('q', { maxsize: 3 });
  expect(QueueDescriptor.fromJSON(structuredClone(made)).equals(made)).toBe(true);
  expect(QueueDescriptor.fromJSON({ queueId: 'q', queueType: 't' }).metadata).toEqual({});
  expect(() => QueueDescriptor.fromJSON({ queueId: 'q', queue_type: 't' })).toThrow(InvalidDescriptorError);
  expect(() => QueueDescriptor.fromJSON({ queueId: '', queueType: 't' })).toThrow(InvalidDescriptorError);
  const wire = { queue_id: 'wire', queue_type: 't', queueId: 'other', queueType: 'u' };
  expect(QueueDescriptor.fromJSON(wire)).toMatchObject({ queueId: 'wire', queueType: 't' });
});
