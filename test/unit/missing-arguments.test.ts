/** What a program in JavaScript left out: the message names it and says how the call looks. Errors print what they have, and nothing that is undefined. */
import { inspect } from 'node:util';
import * as main from '../../lib';
import { StubQueue } from '../../lib/testing';
import { caller, consume } from '../../lib/work';

const { attachToShmQueue, getLocalQueue, getRayActorQueue, getRpcQueue, QueueDescriptor } = main;
const queue = getLocalQueue('missing');
afterAll(() => queue.close());

/** As JavaScript calls it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const plain = (callee: unknown): any => callee;

test.each<[string, () => unknown, RegExp]>([
  [
    "attachToShmQueue('name')",
    () => plain(attachToShmQueue)('name'),
    /shm_name must.*missing.*attachToShmQueue\(queueId, shmName/,
  ],
  ['createShmQueue()', () => plain(QueueDescriptor).createShmQueue(), /shm_name must.*missing.*createShmQueue/],
  [
    "getRayActorQueue('a')",
    () => plain(getRayActorQueue)('a'),
    /actor_name must.*missing.*getRayActorQueue\(queueId, actorName/,
  ],
  ['getRpcQueue()', () => plain(getRpcQueue)(), /server_address must.*missing.*getRpcQueue\(serverAddress, port/],
  [
    "getRpcQueue('host')",
    () => plain(getRpcQueue)('host'),
    /port must be.*found none.*getRpcQueue\(serverAddress, port/,
  ],
  ['new StubQueue()', () => new (plain(StubQueue))(), /new StubQueue\(descriptor\).*QueueDescriptor.*found undefined/],
  ['getMany()', () => plain(queue).getMany(), /missing: getMany\(max, options\?\)/],
  ['leaseMany()', () => plain(queue).leaseMany(), /missing: leaseMany\(max, options\?\)/],
  ['putMany()', () => plain(queue).putMany(), /putMany\(items, options\?\).*found undefined/],
  ['consume()', () => plain(consume)(), /takes a queue.*found undefined/],
  ['caller()', () => plain(caller)(), /caller\(queue, options\?\).*found undefined/],
])('%s', async (_, call, message) => {
  await expect((async () => call())()).rejects.toThrow(message);
});

const classes = Object.entries(main).filter(([name]) => name.endsWith('Error'));

test.each(classes)('%s shows no undefined', (name, Kind) => {
  const Error = plain(Kind);
  const error = name === 'QueueError' || name === 'SegmentError' ? new Error('ERR_SEGMENT_NAME', 'm') : new Error('m');
  for (const text of [inspect(error), String(error), JSON.stringify(error)]) expect(text).not.toContain('undefined');
  expect(Object.values(error as object)).not.toContain(undefined);
});

test('nor does what a call rejects with', async () => {
  for (const call of [
    () => queue.get({ block: false }),
    () => plain(queue).putMany([1], { timeoutMs: 0, signal: AbortSignal.abort(new main.QueueError('X', 'm')) }),
  ])
    expect(inspect(await (call() as Promise<unknown>).catch((error: unknown) => error))).not.toContain('undefined');
});
