/** Where this process lives, as far as it decides which shared memory it can reach. */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { segmentDirectory } from '../util/segment-directory';

export interface HostIdentity {
  /** Changes with every boot of the kernel; null where the system does not tell. */
  bootId: string | null;
  /** Device and inode of the directory of segments: containers that share none have different ones. Null where there is no such directory. */
  shmDevice: number | null;
  shmInode: number | null;
  /** Of the pid namespace, which every container has its own of; null where the system does not tell. */
  pidNamespace: string | null;
  /** Null on systems without user ids. */
  uid: number | null;
}

function attempt<R>(read: () => R): R | null {
  try {
    return read();
  } catch {
    return null;
  }
}

export function hostIdentity(): HostIdentity {
  return {
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    shmDevice: attempt(() => statSync(segmentDirectory()).dev),
    shmInode: attempt(() => statSync(segmentDirectory()).ino),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
    uid: process.getuid?.() ?? null,
  };
}
