/**
 * `local`: a queue in the memory of one thread. Items go through by reference, as in Python's `queue.Queue`: nothing is copied or
 * serialized, so functions and class instances are fine, and whoever changes an item after putting it changes what the consumer sees.
 */
import { codecOfSchema } from '../../codec/struct/codec';
import { checkCompatible, parseSchema } from '../../descriptor/schema';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { ConfigMismatchError, QueueExistsError, QueueNotFoundError } from '../../errors';
import { expectedProducers } from '../../queue/producer-role';
import { MemoryStore } from './memory-store';
import type { ResolveOptions } from '../../queue/types';
import { Attachment, StoreQueue } from './memory-queue';

/** A queue and the number of handles on it. It is kept while it has handles or items, or its producers ended it and no reader has seen that. */
interface Shared {
  readonly store: MemoryStore<unknown>;
  handles: number;
  /** The text of the schema of its items; it may gain optional fields. */
  schema?: string;
}

/**
 * One book for every copy of the package in this thread: an id names one queue, whoever resolves it. The number goes up when what copies
 * use of each other's stores changes.
 */
const BOOK = Symbol.for('sage-queue.local.1');
const { [BOOK]: queues = new Map() } = globalThis as { [BOOK]?: Map<string, Shared> };
Object.defineProperty(globalThis, BOOK, { value: queues, configurable: true });

function schemaText({ metadata: { schema } }: QueueDescriptor): string | undefined {
  return schema === undefined || schema === null ? undefined : codecOfSchema(schema).text;
}

/** @throws ConfigMismatchError where the queue has another schema than is asked for, or none */
function checkSchema(descriptor: QueueDescriptor, shared: Shared): void {
  const asked = schemaText(descriptor);
  if (asked === undefined || asked === shared.schema) return;
  if (shared.schema === undefined)
    throw new ConfigMismatchError(
      `The local queue '${descriptor.queueId}' exists without a schema, and the descriptor asks for one.`,
    );
  checkCompatible(parseSchema(JSON.parse(shared.schema)), parseSchema(JSON.parse(asked)), descriptor.queueId);
}

function attach(descriptor: QueueDescriptor, { create, producer }: ResolveOptions): Attachment {
  const { queueId } = descriptor;
  const expected = expectedProducers(producer);
  const asked = typeof descriptor.metadata.maxsize === 'number' ? descriptor.metadata.maxsize : 0;
  let shared = queues.get(queueId);
  if (shared === undefined) {
    if (create === 'never')
      throw new QueueNotFoundError(`There is no local queue '${queueId}' in this thread, and create is 'never'.`);
    shared = { store: new MemoryStore(asked), handles: 0, schema: schemaText(descriptor) };
    queues.set(queueId, shared);
  } else if (create === 'exclusive') {
    throw new QueueExistsError(
      `The local queue '${queueId}' exists already in this thread, and create is 'exclusive'.`,
    );
  } else if (asked !== 0 && asked !== shared.store.maxsize) {
    throw new ConfigMismatchError(
      `The local queue '${queueId}' exists with maxsize ${shared.store.maxsize}; the descriptor asks for ${asked}. ` +
        'Ask for the same, or leave maxsize out to take it as it is.',
    );
  }
  const found = shared;
  checkSchema(descriptor, found);
  found.handles++;
  const leave = (): void => {
    found.handles--;
    if (found.handles === 0 && found.store.size === 0 && !found.store.hasUnseenEnd) queues.delete(queueId);
  };
  return new Attachment(found.store, leave, expected);
}

export class LocalQueue<T = unknown> extends StoreQueue<T> {
  constructor(descriptor: QueueDescriptor, options: ResolveOptions = {}) {
    const attachment = attach(descriptor, options);
    const text = schemaText(descriptor) ?? queues.get(descriptor.queueId)?.schema;
    super(descriptor, attachment, text === undefined ? undefined : codecOfSchema(JSON.parse(text)));
  }
}
