import { InvalidDescriptorError } from '../errors';
import { checkBuiltInMetadata, copyMetadata, deepEqual } from './metadata';
import { describeValue } from '../util/describe-value';
import type { Metadata } from './metadata';
import { nodeCrypto } from '../util/lazy-node';
import { refuseUnknown } from '../util/known-options';
import {
  autoMetadata,
  localMetadata,
  nonEmpty,
  RAY_ACTOR_CALLS,
  rayMetadata,
  rpcMetadata,
  sageMetadata,
  shmMetadata,
} from './option-metadata';
import { parseQueueUri } from './queue-uri';
import { readWire } from './wire-form';
import type { DescriptorParts, QueueDescriptorJSON } from './wire-form';
import type { AutoOptions, LocalOptions, RayOptions, RpcOptions, SageOptions, ShmOptions } from './options';

export type { QueueDescriptorJSON };

/** `prefix` and eight random hex digits. */
const madeUpId = (prefix: string): string => `${prefix}_${nodeCrypto().randomBytes(4).toString('hex')}`;

/** On the prototype of every copy of the package: its descriptors are as good as those made here. */
const BRAND = Symbol.for('sage-queue.descriptor');

/** Also one that another copy of the package made. */
export function isDescriptor(value: unknown): value is QueueDescriptor {
  return typeof value === 'object' && value !== null && BRAND in value;
}

const PARTS = ['queueId', 'queueType', 'metadata', 'createdTimestamp'] as const;

/** Of a descriptor to be made. @throws InvalidDescriptorError */
function checkedParts(init: Partial<DescriptorParts>): Required<DescriptorParts> {
  if (typeof init !== 'object' || init === null) {
    throw new InvalidDescriptorError(
      `A descriptor is made from { queueId, queueType, metadata }, found ${describeValue(init)}.`,
    );
  }
  refuseUnknown(init, PARTS);
  const queueId = nonEmpty('queue_id', init.queueId);
  const queueType = nonEmpty('queue_type', init.queueType);
  const metadata = copyMetadata(init.metadata ?? {});
  checkBuiltInMetadata(queueType, metadata);
  const createdTimestamp = init.createdTimestamp ?? Date.now() / 1000;
  if (!Number.isFinite(createdTimestamp)) {
    throw new InvalidDescriptorError(
      `created_timestamp must be seconds since the epoch (a finite number), found ${describeValue(createdTimestamp)}.`,
    );
  }
  return { queueId, queueType, metadata, createdTimestamp };
}

/**
 * An immutable, serializable reference to a queue: what `resolveDescriptor` needs to find or make it, in this process,
 * another one, on another host or in another language.
 *
 * @example
 * const text = JSON.stringify(QueueDescriptor.createShmQueue(undefined, 'jobs', { maxsize: 100 }));
 * const jobs = resolveDescriptor(QueueDescriptor.fromJSON(text));
 */
export class QueueDescriptor<K extends string = string> {
  /** What the queue is called; its address for most types. */
  readonly queueId: string;
  /** Which implementation resolves it. */
  readonly queueType: K;
  /** Deeply frozen. */
  readonly metadata: Metadata;
  /** Seconds since the epoch. */
  readonly createdTimestamp: number;

  /** @throws InvalidDescriptorError on an empty id or type, or metadata that JSON cannot hold (NaN, BigInt, function, cycle). */
  constructor(init: { queueId: string; queueType: K; metadata?: Metadata; createdTimestamp?: number }) {
    const { queueId, queueType, metadata, createdTimestamp } = checkedParts(init);
    this.queueId = queueId;
    this.queueType = queueType as K;
    this.metadata = metadata;
    this.createdTimestamp = createdTimestamp;
    Object.freeze(this);
  }

  /** A queue in the memory of one thread. Without an id one is made, as `local_1a2b3c4d`; likewise below. */
  static createLocalQueue(queueId?: string, options?: LocalOptions): QueueDescriptor<'local'> {
    return make('local', queueId ?? madeUpId('local'), localMetadata(options));
  }

  /**
   * A queue in shared memory, addressed by `shmName`, whatever the id.
   * @throws InvalidDescriptorError without a name
   */
  static createShmQueue(queueId: string | undefined, shmName: string, options?: ShmOptions): QueueDescriptor<'shm'> {
    return make('shm', queueId ?? madeUpId('shm'), shmMetadata(shmName, options));
  }

  /** A queue in shared memory with namespaces and owners, addressed by its id. */
  static createSageQueue(queueId?: string, options?: SageOptions): QueueDescriptor<'sage_queue'> {
    return make('sage_queue', queueId ?? madeUpId('sage'), sageMetadata(options));
  }

  /** A Ray actor that is a queue, addressed by its name. */
  static createRayActorQueue(
    queueId: string | undefined,
    actorName: string,
    options?: RayOptions,
  ): QueueDescriptor<'ray_actor'> {
    const metadata = { actor_name: nonEmpty('actor_name', actorName, RAY_ACTOR_CALLS), ...rayMetadata(options) };
    return make('ray_actor', queueId ?? madeUpId('ray_actor'), metadata);
  }

  /** A queue on a Ray cluster, addressed by its id. */
  static createRayQueue(queueId?: string, options?: RayOptions): QueueDescriptor<'ray_queue'> {
    return make('ray_queue', queueId ?? madeUpId('ray_queue'), rayMetadata(options));
  }

  /**
   * A queue that a `QueueServer` serves under that id. An address `unix:/path` has no port.
   * @throws InvalidDescriptorError for a port out of 1…65535
   */
  static createRpcQueue(
    serverAddress: string,
    port: number | undefined,
    queueId?: string,
    options?: RpcOptions,
  ): QueueDescriptor<'rpc'> {
    return make('rpc', queueId ?? madeUpId('rpc'), rpcMetadata(serverAddress, port, options));
  }

  /** Resolves to the owner's sage_queue on the owner's host (same boot id, same directory of segments; also from another container), to its rpc endpoint elsewhere. */
  static createAutoQueue(queueId?: string, options?: AutoOptions): QueueDescriptor<'auto'> {
    return make('auto', queueId ?? madeUpId('auto'), autoMetadata(options));
  }

  /**
   * As on the command line: `shm:NAME`, `sage:NAME`, `rpc://HOST:PORT/ID` (also `rpc://[::1]:PORT/ID`), `rpc+unix:/PATH#ID`,
   * `ray://HOST:PORT/ID`, `ray-actor://HOST:PORT/NAME`. An id may be percent-encoded.
   * @throws InvalidDescriptorError
   */
  static fromURI(uri: string): QueueDescriptor {
    const parsed = parseQueueUri(uri);
    switch (parsed.scheme) {
      case 'shm':
        return QueueDescriptor.createShmQueue(parsed.name, parsed.name);
      case 'sage':
        return QueueDescriptor.createSageQueue(parsed.name);
      case 'rpc':
        return QueueDescriptor.createRpcQueue(parsed.host, parsed.port, parsed.id);
      case 'ray':
        return QueueDescriptor.createRayQueue(parsed.id, { address: parsed.address });
      case 'ray-actor':
        return QueueDescriptor.createRayActorQueue(parsed.id, parsed.id, { address: parsed.address });
    }
  }

  /** What `JSON.stringify(descriptor)` writes. */
  toJSON(): QueueDescriptorJSON {
    return {
      queue_id: this.queueId,
      queue_type: this.queueType,
      metadata: this.metadata,
      created_timestamp: this.createdTimestamp,
    };
  }

  /**
   * Takes the text, the parsed object, an object that went through a structured clone (`postMessage`, `workerData`), or a descriptor of
   * another copy of the package. Extra keys are ignored; a missing or null timestamp means now.
   * @throws InvalidDescriptorError; never returns a half-built descriptor.
   */
  static fromJSON(json: string | unknown): QueueDescriptor {
    if (json instanceof QueueDescriptor) return json;
    return new QueueDescriptor(readWire(json));
  }

  /**
   * Same type and metadata, by default under the same id: the same queue. Under another id it is another queue for the types
   * addressed by queue_id (local, sage_queue, ray_queue, rpc), the same one for those addressed by a name in the metadata (shm, ray_actor).
   */
  clone(queueId?: string): QueueDescriptor<K> {
    const id = queueId ?? this.queueId;
    return new QueueDescriptor<K>({
      queueId: id,
      queueType: this.queueType,
      metadata: this.metadata,
      createdTimestamp: id === this.queueId ? this.createdTimestamp : undefined,
    });
  }

  /** Id, type and deep metadata (whatever the order of its keys); the timestamp does not count. */
  equals(other: QueueDescriptor): boolean {
    return (
      isDescriptor(other) &&
      other.queueId === this.queueId &&
      (other.queueType as string) === this.queueType &&
      deepEqual(other.metadata, this.metadata)
    );
  }

  /** `QueueDescriptor(type:id)`. */
  toString(): string {
    return `QueueDescriptor(${this.queueType}:${this.queueId})`;
  }
}

Object.defineProperty(QueueDescriptor.prototype, BRAND, { value: true });

function make<K extends string>(queueType: K, queueId: string, metadata: Record<string, unknown>): QueueDescriptor<K> {
  return new QueueDescriptor({ queueId, queueType, metadata: metadata as Metadata });
}
