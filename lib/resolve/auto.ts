/**
 * `auto`: the owner's sage_queue where its shared memory is within reach, the owner's rpc endpoint elsewhere. Never anything
 * private to this host: owner and reader would talk past each other.
 */
import { QueueDescriptor } from '../descriptor/descriptor';
import { InvalidDescriptorError, QueueConnectionError } from '../errors';
import { hostIdentity } from '../descriptor/host-identity';
import type { Metadata } from '../descriptor/metadata';
import type { Queue, ResolveOptions } from '../queue/types';
import { BaseQueue, presentAs } from '../queue/base-queue';

/** `stats().queueType` of the result says which it became; its descriptor stays the one that was given. */
export const autoResolver =
  (resolve: (descriptor: QueueDescriptor, options: ResolveOptions) => Queue) =>
  (descriptor: QueueDescriptor, options: ResolveOptions = {}): Queue => {
    const queue = resolve(choose(descriptor), options);
    return queue instanceof BaseQueue ? queue[presentAs](descriptor) : queue;
  };

function choose(descriptor: QueueDescriptor): QueueDescriptor {
  const { rpc, owner_boot_id: bootId, owner_shm_device: shmDevice, ...sage } = descriptor.metadata;
  const elsewhere = differences(bootId, shmDevice);
  if (elsewhere === undefined) return derived(descriptor, 'sage_queue', sage);
  if (rpc === undefined || rpc === null) {
    throw new QueueConnectionError(
      `the queue '${descriptor.queueId}' lives where this process cannot reach its shared memory (${elsewhere}), and its descriptor names no rpc endpoint. ` +
        'Serve it with a QueueServer there, and make the descriptor with rpc: { serverAddress, port }',
    );
  }
  if (typeof rpc !== 'object' || Array.isArray(rpc)) {
    throw new InvalidDescriptorError(
      `metadata.rpc of an 'auto' descriptor is { server_address, port }; found ${JSON.stringify(rpc)}`,
    );
  }
  return derived(descriptor, 'rpc', {
    ...(rpc as Metadata),
    ...(sage.codec === undefined ? {} : { codec: sage.codec }),
    ...(sage.schema === undefined ? {} : { schema: sage.schema }),
  });
}

function derived(descriptor: QueueDescriptor, queueType: string, metadata: Metadata): QueueDescriptor {
  const { queueId, createdTimestamp } = descriptor;
  return new QueueDescriptor({ queueId, queueType, metadata, createdTimestamp });
}

/** Undefined: this is where the owner lives. Otherwise how one can tell that it is not. */
function differences(bootId: unknown, shmDevice: unknown): string | undefined {
  const here = hostIdentity();
  if (here.bootId === null || bootId !== here.bootId)
    return `the owner's host has boot id ${String(bootId)}, this one ${here.bootId}`;
  if (here.shmDevice === null || shmDevice !== here.shmDevice) {
    return `the owner's /dev/shm is device ${String(shmDevice)}, the one here ${here.shmDevice}: another container?`;
  }
  return undefined;
}
