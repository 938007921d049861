/** `shm`: the same core under a plain name. */
import { variant } from './sage_queue.mjs';

export const variants = [
  variant('shm', 'sync', 'shm, putSync and getSync'),
  variant('shm', 'batch', 'shm, putManySync and getManySync of 64'),
  variant('shm', 'await', 'shm, await put and await get'),
];
