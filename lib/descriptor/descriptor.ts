import { InvalidDescriptorError } from '../errors';
import { givenOptions } from './normalize-options';
import { hostIdentity } from './host-identity';
import { checkBuiltInMetadata, copyMetadata, deepEqual } from './metadata';
import { describeValue } from '../util/describe-value';
import type { Metadata } from './metadata';
import { numberIfSame, parseJson } from '../util/json-text';
import { nodeCrypto } from '../util/lazy-node';
import type {
  AutoOptions,
  LocalOptions,
  NativeOptions,
  RayOptions,
  RpcOptions,
  SageOptions,
  ShmOptions,
} from './options';

/** The wire form, shared with Python: exactly these four keys, in this order. Unknown extra keys are ignored when read. */
export interface QueueDescriptorJSON {
  queue_id: string;
  queue_type: string;
  metadata: Metadata;
  /** Seconds since the epoch, fractional, as Python's `time.time()`. */
  created_timestamp: number;
}

/** `prefix` and eight random hex digits. */
const madeUpId = (prefix: string): string => `${prefix}_${nodeCrypto().randomBytes(4).toString('hex')}`;

/** Metadata without the keys whose option was not given; null counts as not given. */
function given(entries: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined && value !== null));
}

const nativeKeys = (options: NativeOptions): Record<string, unknown> =>
  given({ capacity_bytes: options.capacityBytes, codec: options.codec, mode: options.mode });

function sageMetadata(options: SageOptions, uid: number | null): Record<string, unknown> {
  const multiTenant = options.enableMultiTenant ?? true;
  return {
    maxsize: options.maxsize ?? 1000,
    auto_cleanup: options.autoCleanup ?? true,
    namespace: options.namespace ?? null,
    enable_multi_tenant: multiTenant,
    ...(multiTenant === true && uid !== null ? { owner_uid: uid } : {}),
    ...nativeKeys(options),
  };
}

const rayMetadata = ({ maxsize, address, namespace, create }: RayOptions): Record<string, unknown> => ({
  maxsize: maxsize ?? 0,
  ...given({ address, namespace, create }),
});

type Parts = { queueId: string; queueType: string; metadata: Metadata; createdTimestamp: number };

/** Of a descriptor to be made. @throws InvalidDescriptorError */
function checkedParts(init: Partial<Parts>): Parts {
  if (typeof init !== 'object' || init === null) {
    throw new InvalidDescriptorError(
      `A descriptor is made from { queueId, queueType, metadata }, found ${describeValue(init)}.`,
    );
  }
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

/** The wire form, as text or as an object, with nothing checked but that. @throws InvalidDescriptorError */
function readWire(json: unknown): ConstructorParameters<typeof QueueDescriptor>[0] {
  let wire: unknown;
  try {
    wire = typeof json === 'string' ? parseJson(json, numberIfSame) : json;
    if (typeof wire === 'object' && wire !== null && !Array.isArray(wire)) {
      return {
        queueId: own(wire, 'queue_id') as string,
        queueType: own(wire, 'queue_type') as string,
        metadata: (own(wire, 'metadata') ?? {}) as Metadata,
        createdTimestamp: (own(wire, 'created_timestamp') ?? undefined) as number | undefined,
      };
    }
  } catch (error) {
    throw new InvalidDescriptorError(`The descriptor cannot be read: ${(error as Error)?.message ?? error}.`, {
      cause: error,
    });
  }
  throw new InvalidDescriptorError(
    `A descriptor is a JSON object with queue_id, queue_type, metadata and created_timestamp, found ${describeValue(wire)}.`,
  );
}

/** Own keys only: what a polluted prototype offers is not part of the text. */
function own(wire: object, key: string): unknown {
  return Object.hasOwn(wire, key) ? (wire as Record<string, unknown>)[key] : undefined;
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
  readonly queueId: string;
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

  static createLocalQueue(queueId?: string, options?: LocalOptions): QueueDescriptor<'local'> {
    return make('local', queueId ?? madeUpId('local'), { maxsize: givenOptions(options).maxsize ?? 0 });
  }

  static createShmQueue(queueId: string | undefined, shmName: string, options?: ShmOptions): QueueDescriptor<'shm'> {
    const wanted = givenOptions(options);
    return make('shm', queueId ?? madeUpId('shm'), {
      shm_name: nonEmpty('shm_name', shmName),
      maxsize: wanted.maxsize ?? 1000,
      ...nativeKeys(wanted),
    });
  }

  static createSageQueue(queueId?: string, options?: SageOptions): QueueDescriptor<'sage_queue'> {
    return make(
      'sage_queue',
      queueId ?? madeUpId('sage'),
      sageMetadata(givenOptions(options), process.getuid?.() ?? null),
    );
  }

  static createRayActorQueue(
    queueId: string | undefined,
    actorName: string,
    options?: RayOptions,
  ): QueueDescriptor<'ray_actor'> {
    return make('ray_actor', queueId ?? madeUpId('ray_actor'), {
      actor_name: nonEmpty('actor_name', actorName),
      ...rayMetadata(givenOptions(options)),
    });
  }

  static createRayQueue(queueId?: string, options?: RayOptions): QueueDescriptor<'ray_queue'> {
    return make('ray_queue', queueId ?? madeUpId('ray_queue'), rayMetadata(givenOptions(options)));
  }

  static createRpcQueue(
    serverAddress: string,
    port: number,
    queueId?: string,
    options?: RpcOptions,
  ): QueueDescriptor<'rpc'> {
    const { maxsize, tls, codec } = givenOptions(options);
    return make('rpc', queueId ?? madeUpId('rpc'), {
      server_address: nonEmpty('server_address', serverAddress),
      port: requiredPort(port),
      ...given({ maxsize, tls, codec }),
    });
  }

  /** Says where it was made (boot id, device of /dev/shm, uid), so that a reader knows whether the owner's shared memory is within reach. */
  static createAutoQueue(queueId?: string, options?: AutoOptions): QueueDescriptor<'auto'> {
    const host = hostIdentity();
    const wanted = givenOptions(options);
    const rpc = wanted.rpc ?? undefined;
    return make('auto', queueId ?? madeUpId('auto'), {
      ...sageMetadata(wanted, host.uid),
      owner_boot_id: host.bootId,
      owner_shm_device: host.shmDevice,
      owner_uid: host.uid,
      ...(rpc === undefined
        ? {}
        : {
            rpc: {
              server_address: nonEmpty('rpc.server_address', rpc.serverAddress),
              port: requiredPort(rpc.port),
              ...given({ tls: rpc.tls }),
            },
          }),
    });
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
   * Takes the text or the parsed object. Extra keys are ignored; a missing or null timestamp means now.
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
      other instanceof QueueDescriptor &&
      other.queueId === this.queueId &&
      (other.queueType as string) === this.queueType &&
      deepEqual(other.metadata, this.metadata)
    );
  }

  toString(): string {
    return `QueueDescriptor(${this.queueType}:${this.queueId})`;
  }
}

function nonEmpty(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InvalidDescriptorError(`${name} must be a non-empty string, found ${describeValue(value)}.`);
}

function requiredPort(port: unknown): unknown {
  if (port === undefined || port === null)
    throw new InvalidDescriptorError('port must be an integer from 1 to 65535, found none.');
  return port;
}

function make<K extends string>(queueType: K, queueId: string, metadata: Record<string, unknown>): QueueDescriptor<K> {
  return new QueueDescriptor({ queueId, queueType, metadata: metadata as Metadata });
}
