/** Where this process lives, as far as it decides which shared memory it can reach. */
import { readFileSync, statSync } from 'node:fs';

export interface HostIdentity {
  /** Changes with every boot of the kernel; null where the system does not tell. */
  bootId: string | null;
  /** Device number of /dev/shm: containers of one host have different ones. Null where there is no such directory. */
  shmDevice: number | null;
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
    shmDevice: attempt(() => statSync('/dev/shm').dev),
    uid: process.getuid?.() ?? null,
  };
}
