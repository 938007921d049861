/** Options that are null count as left out, as they do where JSON or another language made them; anything but an object is refused. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { getLocalQueue, pruneSegments, QueueDescriptor, resolveDescriptor } from '../../lib/index';
import type { QueueFor, ResolveOptions } from '../../lib/index';
import { run } from '../shm/child';
import { SHM } from '../shm/place';

type Made = Record<string, (options?: unknown) => QueueDescriptor>;

const factories: Made = {
  createLocalQueue: (options) => QueueDescriptor.createLocalQueue('q', options as object),
  createShmQueue: (options) => QueueDescriptor.createShmQueue('q', 'name', options as object),
  createSageQueue: (options) => QueueDescriptor.createSageQueue('q', options as object),
  createRayActorQueue: (options) => QueueDescriptor.createRayActorQueue('q', 'actor', options as object),
  createRayQueue: (options) => QueueDescriptor.createRayQueue('q', options as object),
  createRpcQueue: (options) => QueueDescriptor.createRpcQueue('host', 1, 'q', options as object),
  createAutoQueue: (options) => QueueDescriptor.createAutoQueue('q', options as object),
};

const native = ['maxsize', 'capacityBytes', 'codec', 'mode'];
const sage = [...native, 'autoCleanup', 'namespace', 'enableMultiTenant'];
const ray = ['maxsize', 'address', 'namespace', 'create'];
const optionsOf: Record<string, string[]> = {
  createLocalQueue: ['maxsize'],
  createShmQueue: native,
  createSageQueue: sage,
  createRayActorQueue: ray,
  createRayQueue: ray,
  createRpcQueue: ['maxsize', 'tls', 'codec'],
  createAutoQueue: [...sage, 'rpc'],
};

describe.each(Object.entries(factories))('%s', (name, make) => {
  const allNull = Object.fromEntries(optionsOf[name]!.map((key) => [key, null]));

  it('takes null for none, as a whole and for each option', () => {
    expect(make(null).equals(make())).toBe(true);
    expect(make(allNull).equals(make())).toBe(true);
  });

  it.each(['maxsize', 5, true, () => {}])('refuses %p', (options) => {
    expect(() => make(options)).toThrow(
      expect.objectContaining({
        code: 'ERR_DESCRIPTOR_INVALID',
        message: expect.stringContaining('must be an object'),
      }),
    );
  });
});

test('clone takes null for the same id', () => {
  const descriptor = QueueDescriptor.createLocalQueue('fixwrap');
  expect(descriptor.clone(null as unknown as string).queueId).toBe('fixwrap');
});

describe('resolveDescriptor', () => {
  const resolve = (options: unknown): QueueFor<'local', unknown> =>
    resolveDescriptor(QueueDescriptor.createLocalQueue('fixwrap-null'), options as ResolveOptions);

  it.each([null, { create: null, credentials: null }])('takes %j', async (options) => {
    await resolve(options).close();
  });

  it('refuses what is no object', () => {
    expect(() => resolve('never')).toThrow(expect.objectContaining({ code: 'ERR_DESCRIPTOR_INVALID' }));
  });
});

test('pruneSegments takes null, and refuses what is no object', async () => {
  // In a directory of its own: other test files have segments meanwhile that it would remove.
  const directory = mkdtempSync(join(SHM, 'null-options-'));
  const removed = run('say(sq.pruneSegments(null));', null, [], { env: { SAGE_QUEUE_DIR: directory } });
  expect(await removed.finally(() => rmSync(directory, { recursive: true }))).toEqual([[]]);
  expect(() => pruneSegments('dryRun' as unknown as undefined)).toThrow(TypeError);
});

test('calls take null, and refuse what is no object', async () => {
  const queue = getLocalQueue('fixwrap-null');
  await queue.put(1, null as unknown as undefined);
  expect(await queue.get(null as unknown as undefined)).toBe(1);
  const options = 5 as unknown as undefined;
  for (const call of [() => queue.put(2, options), () => queue.get(options), () => queue.lease(options)])
    await expect(call()).rejects.toThrow('{ block, timeoutMs, signal }, found 5');
  expect(await queue.empty()).toBe(true);
  await queue.close();
});
