/** Compiled, never run: the types as users see them. */
import { Readable } from 'node:stream';
import * as sage from 'sage-queue';
import {
  attachToShmQueue,
  getLocalQueue,
  getRpcQueue,
  getSageQueue,
  QueueDescriptor,
  resolveDescriptor,
} from 'sage-queue';
import type { ItemOf, NativeQueue, Queue, SageQueue, Schema } from 'sage-queue';
import { QueueServer } from 'sage-queue/rpc';
import { describeQueueContract, StubQueue } from 'sage-queue/testing';
import { consume } from 'sage-queue/work';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function holds<_Claim extends true>(): void;

interface Order {
  id: number;
}

// One type argument is enough, and the kind of a queue's own descriptor is known.
const shm = resolveDescriptor<Order>(QueueDescriptor.createShmQueue('q', 'name'));
shm.putSync({ id: 1 });
const sageQueue = resolveDescriptor<Order>(QueueDescriptor.createSageQueue('q'));
sageQueue.claimSync(8).commit();
const local = resolveDescriptor<Order>(QueueDescriptor.createLocalQueue('q'));
// @ts-expect-error -- nothing blocks the thread in a queue of its own memory
local.putSync({ id: 1 });
const inferred = resolveDescriptor(QueueDescriptor.createRpcQueue('host', 1));
const text = resolveDescriptor<Order>('{"queue_id":"q","queue_type":"local","metadata":{}}');
const uri: QueueDescriptor = QueueDescriptor.fromURI('shm:jobs');
holds<Same<typeof shm.descriptor.queueType, 'shm'>>();
holds<Same<typeof sageQueue.descriptor.queueType, 'sage_queue'>>();
holds<Same<typeof local.descriptor.queueType, 'local'>>();
holds<Same<typeof inferred.descriptor.queueType, 'rpc'>>();
holds<Same<typeof text.descriptor.queueType, string>>();
export const shapes: [Queue<Order>, NativeQueue<Order>, SageQueue<Order>, Queue<Order>] = [shm, shm, sageQueue, text];
export const readable: Readable = sageQueue.readable();
export const disposable: AsyncDisposable = local;

// Items with a schema.
const schema = {
  id: 'u32',
  tags: ['string'],
  big: 'i64',
  'note?': 'string',
  inner: { raw: 'bytes', 'when?': 'date' },
} as const;
interface Item {
  id: number;
  tags: string[];
  big: bigint;
  note?: string;
  inner: { raw: Uint8Array; when?: Date };
}
holds<Same<ItemOf<typeof schema>['note'], string | undefined>>();
holds<Same<ItemOf<typeof schema>['tags'], string[]>>();
declare const item: ItemOf<typeof schema>;
declare const written: Item;
export const both: [Item, ItemOf<typeof schema>] = [item, written];
const typed = getSageQueue('q', { schema: { id: 'u32', 'note?': 'string' } });
typed.putSync({ id: 1 });
const note: string | undefined = typed.getSync().note;
// @ts-expect-error -- a text is no u32
typed.putSync({ id: '1' });
// @ts-expect-error -- no such type of a field
getLocalQueue('q', { schema: { id: 'int32' } });
void attachToShmQueue(undefined, 'n', { schema }).put(written);
void getRpcQueue('host', 1, 'q', { schema: ['f64'] }).put([1.5]);
void getLocalQueue('q', { schema: 'bytes', maxsize: 1 }).put(Buffer.from('a'));
export const anySchema: Schema = schema;

// Options and errors.
// @ts-expect-error -- a blocking call has no signal
shm.getSync({ signal: new AbortController().signal });
// @ts-expect-error -- timeoutMs
void local.get({ timeout: 10 });
try {
  shm.getSync({ block: false });
} catch (error) {
  if (error instanceof sage.SerializationError) void [error.code, error.bytes];
  if (error instanceof sage.QueueError) void error.accepted;
}

void consume(local, async ({ id }, job) => void [id, job.deliveries]);
void new QueueServer({ queues: { q: uri, local } }).start();
describeQueueContract('stub', () => new StubQueue(QueueDescriptor.createLocalQueue('q')), { bounded: true });
void [note, inferred, text];
