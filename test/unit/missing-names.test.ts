/** A name that was never set, as of an environment variable, and a text that names nothing: refused, with what was expected. */
import {
  attachToShmQueue,
  getLocalQueue,
  getRayQueue,
  getSageQueue,
  InvalidDescriptorError,
  QueueDescriptor,
  resolveDescriptor,
} from '../../lib';

test.each([
  ['getLocalQueue', getLocalQueue],
  ['getSageQueue', getSageQueue],
  ['getRayQueue', getRayQueue],
  ['attachToShmQueue', attachToShmQueue.bind(undefined, undefined)],
] as [string, (name: unknown) => unknown][])(
  '%s without a name makes no queue that nobody else can find',
  (_, make) => {
    for (const name of [undefined, null, '', 7]) {
      expect(() => make(name)).toThrow(InvalidDescriptorError);
      expect(() => make(name)).toThrow(/^(queue_id|shm_name) must be a non-empty string, found /);
    }
  },
);

test('a bare name is told how queues are named', () => {
  expect(() => resolveDescriptor('jobs')).toThrow(
    /is not valid JSON\. A queue is also named by a URI, such as sage:jobs\.$/,
  );
  const cut = (): unknown => QueueDescriptor.fromJSON('{"queue_id":');
  expect(cut).toThrow(expect.objectContaining({ message: expect.not.stringContaining('URI') }));
});
