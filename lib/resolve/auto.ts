/**
 * `auto`: the owner's sage_queue where its shared memory is within reach, the owner's rpc endpoint elsewhere. Never anything
 * private to this host: owner and reader would talk past each other.
 */
import { QueueDescriptor } from '../descriptor/descriptor';
import { InvalidDescriptorError, QueueConnectionError } from '../errors';
import { hostIdentity } from '../descriptor/host-identity';
import type { HostIdentity } from '../descriptor/host-identity';
import type { Metadata } from '../descriptor/metadata';
import type { Queue, ResolveOptions } from '../queue/types';
import { BaseQueue, presentAs } from '../queue/base-queue';

/** `stats().queueType` of the result says which it became; its descriptor stays the one that was given. */
export const autoResolver =
  (resolve: (descriptor: QueueDescriptor, options: ResolveOptions) => Queue) =>
  (descriptor: QueueDescriptor, options: ResolveOptions = {}): Queue => {
    const here = hostIdentity();
    const chosen = choose(descriptor, here);
    // In another container a queue that this process makes may be one that its owner cannot open, or never comes to.
    const create = options.create ?? (isOwners(descriptor, here) ? 'if-missing' : 'never');
    const queue = resolve(chosen, chosen.queueType === 'sage_queue' ? { ...options, create } : options);
    return queue instanceof BaseQueue ? queue[presentAs](descriptor) : queue;
  };

/** Whether this is a process of the user and the container that the descriptor was made in, as far as it says. */
function isOwners({ metadata }: QueueDescriptor, here: HostIdentity): boolean {
  const { owner_uid: uid, owner_pid_namespace: namespace } = metadata;
  return (
    (typeof uid !== 'number' || uid === here.uid) && (typeof namespace !== 'string' || namespace === here.pidNamespace)
  );
}

function choose(descriptor: QueueDescriptor, here: HostIdentity): QueueDescriptor {
  const {
    rpc,
    owner_boot_id: bootId,
    owner_shm_device: shmDevice,
    owner_shm_inode: shmInode,
    owner_pid_namespace: _namespace,
    ...sage
  } = descriptor.metadata;
  const elsewhere = differences({ bootId, shmDevice, shmInode }, here);
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

interface Place {
  bootId: unknown;
  shmDevice: unknown;
  /** Two directories of one file system have one device. */
  shmInode: unknown;
}

/** Undefined: this is where the owner lives. Otherwise how one can tell that it is not. */
function differences(owner: Place, here: HostIdentity): string | undefined {
  if (here.bootId === null || owner.bootId !== here.bootId)
    return `the owner's host has boot id ${String(owner.bootId)}, this one ${here.bootId}`;
  const there = `device ${String(owner.shmDevice)}, inode ${String(owner.shmInode)}`;
  const inodeDiffers = typeof owner.shmInode === 'number' && owner.shmInode !== here.shmInode;
  if (here.shmDevice === null || owner.shmDevice !== here.shmDevice || inodeDiffers) {
    return `the owner's directory of segments is ${there}, the one here device ${here.shmDevice}, inode ${here.shmInode}: a container with another /dev/shm, or another SAGE_QUEUE_DIR?`;
  }
  return undefined;
}
