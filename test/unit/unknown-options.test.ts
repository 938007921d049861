/** Options that nobody knows are refused by every function and method of the built-in types; a type of one's own gets its own. */
import * as sage from '../../lib';
import { consume } from '../../lib/work';
import { QueueServer } from '../../lib/rpc';
import { describeQueueContract, StubQueue } from '../../lib/testing';

const unknown = (key: string, nearest?: string): Error =>
  expect.objectContaining({
    name: 'TypeError',
    code: 'ERR_OPTION_UNKNOWN',
    message: expect.stringMatching(
      nearest === undefined ? `"${key}" here .*; known are: ` : `"${key}".*mean ${nearest}\\?`,
    ),
  });
/** As JavaScript would write it. */
const given = (key: string): never => ({ [key]: 10 }) as never;
const { QueueDescriptor } = sage;

// prettier-ignore
test.each<[string, string | undefined, (options: never) => unknown]>([
  ['maxSize', 'maxsize', (options) => QueueDescriptor.createLocalQueue('q', options)],
  ['maxSize', 'maxsize', (options) => sage.getLocalQueue('q', options)],
  ['capacity', 'capacityBytes', (options) => QueueDescriptor.createShmQueue('q', 'n', options)],
  ['capacity_bytes', 'capacityBytes', (options) => sage.attachToShmQueue('q', 'n', options)],
  ['autoClean', 'autoCleanup', (options) => QueueDescriptor.createSageQueue('q', options)],
  ['nameSpace', 'namespace', (options) => sage.getSageQueue('q', options)],
  ['adress', 'address', (options) => QueueDescriptor.createRayQueue('q', options)],
  ['created', 'create', (options) => QueueDescriptor.createRayActorQueue('q', 'a', options)],
  ['token', undefined, (options) => QueueDescriptor.createRpcQueue('h', 1, 'q', options)],
  ['credentials', undefined, (options) => sage.getRpcQueue('h', 1, 'q', options)],
  ['rcp', 'rpc', (options) => QueueDescriptor.createAutoQueue('q', options)],
  ['host', undefined, (options) => QueueDescriptor.createAutoQueue('q', { rpc: options })],
  ['queue_id', 'queueId', (options) => new QueueDescriptor({ queueId: 'q', queueType: 't', ...(options as object) })],
  ['creat', 'create', (options) => sage.resolveDescriptor(QueueDescriptor.createLocalQueue('q'), options)],
  ['expected', 'expect', (options) => sage.resolveDescriptor(QueueDescriptor.createLocalQueue('q'), { producer: options })],
  ['password', undefined, (options) => sage.resolveDescriptor(QueueDescriptor.createLocalQueue('q'), { credentials: options })],
  ['dry', 'dryRun', (options) => sage.pruneSegments(options)],
  ['hostname', 'host', (options) => new QueueServer(options)],
  ['ca', undefined, (options) => new QueueServer({ tls: options })],
  ['bound', 'bounded', (options) => describeQueueContract('c', () => sage.getLocalQueue('q'), options)],
  ['concurency', 'concurrency', (options) => consume(sage.getLocalQueue('consumed'), () => {}, options)],
])('%s (%s)', (key, nearest, call) => {
  expect(() => call(given(key))).toThrow(unknown(key, nearest));
});

describe.each<[string, () => sage.Queue]>([
  ['local', () => sage.getLocalQueue('options')],
  ['sage_queue', () => sage.getSageQueue(`options.${process.pid}`)],
  ['stub', () => new StubQueue(QueueDescriptor.createLocalQueue('stub'))],
])('calls of %s', (_type, make) => {
  // prettier-ignore
  test.each<[string, string | undefined, (queue: sage.Queue, options: never) => unknown]>([
    ['timeout', 'timeoutMs', (queue, options) => queue.get(options)],
    ['timeoutms', 'timeoutMs', (queue, options) => queue.put(1, options)],
    ['blocking', 'block', (queue, options) => queue.putMany([1], options)],
    ['abortSignal', undefined, (queue, options) => queue.putMany((async function* () { yield 1; })(), options)],
    ['Timeout', 'timeoutMs', (queue, options) => queue.getMany(3, options)],
    ['wait', undefined, (queue, options) => queue.lease(options)],
    ['max', undefined, (queue, options) => queue.leaseMany(2, options)],
    ['now', undefined, (queue, options) => queue.shutdown(options)],
    ['shutDown', 'shutdown', async (queue, options) => queue.writable(options)],
    ['block', undefined, (queue, options) => queue.join(options)],
  ])('%s (%s)', async (key, nearest, call) => {
    const queue = make();
    await expect(call(queue, given(key))).rejects.toThrow(unknown(key, nearest));
    expect(await queue.qsize()).toBe(0);
    await queue.close();
  });
});

test('a blocking call has no signal', () => {
  const queue = sage.getSageQueue<number>(`options-sync.${process.pid}`);
  for (const call of [
    () => queue.getSync(given('signal')),
    () => queue.putSync(1, given('signal')),
    () => queue.putManySync([1], given('signal')),
    () => queue.claimSync(1, given('timeout')),
    () => queue.getManySync(0, given('timeout')),
    () => queue.consumeSync(() => {}, 0, given('timeout')),
  ])
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_OPTION_UNKNOWN' }));
  queue.putSync(1, { timeoutMs: 0, block: undefined });
  expect(queue.getSync({ block: false, extra: undefined } as never)).toBe(1);
  queue.closeSync();
});

test('only own, enumerable keys with a value count', async () => {
  const queue = sage.getLocalQueue<number>('tolerant');
  const inherited = Object.create({ timeout: 5 }) as object;
  const hidden = Object.defineProperty({}, 'timeout', { value: 5 });
  for (const options of [inherited, hidden, { timeout: undefined }, { [Symbol('s')]: 1 }])
    await queue.put(1, options as sage.WaitOptions);
  expect(await queue.getMany(9)).toEqual([1, 1, 1, 1]);
  await queue.close();
});

test('a type of one’s own gets its options as they are', async () => {
  const seen: unknown[] = [];
  class Prioritized extends sage.BaseQueue<number> {
    constructor(descriptor: sage.QueueDescriptor, options?: sage.ResolveOptions) {
      super(descriptor);
      seen.push(options);
    }
    async put(_item: number, options?: sage.WaitOptions): Promise<void> {
      seen.push(options);
    }
    async get(options?: sage.WaitOptions): Promise<number> {
      seen.push(options);
      return 1;
    }
    async empty(): Promise<boolean> {
      return false;
    }
    async qsize(): Promise<number> {
      return 1;
    }
  }
  sage.registerQueueImplementation('prioritized', Prioritized);
  const options = { pool: 3 } as sage.ResolveOptions;
  const queue = sage.resolveDescriptor<number>(
    new QueueDescriptor({ queueId: 'q', queueType: 'prioritized' }),
    options,
  );
  const wait = { priority: 1 } as sage.WaitOptions;
  await queue.put(1, wait);
  await queue.get(wait);
  await queue.getMany(1, wait);
  expect(seen).toEqual([options, wait, wait, wait]);
  sage.unregisterQueueImplementation('prioritized');
});
