/** Where the segments of this host lie. */
export const SHM = process.env.SAGE_QUEUE_DIR ?? (process.platform === 'darwin' ? '/private/tmp' : '/dev/shm');
