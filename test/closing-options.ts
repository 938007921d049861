/** Calls with options whose getters close the handle. */
import type { Queue } from '../lib';

/** @param value what the getter `name` says after that */
export const closing = (queue: Pick<Queue, 'close'>, name: string, value: unknown): object => ({
  get [name]() {
    void queue.close();
    return value;
  },
});

export const ITEM = Buffer.from('new');

/** Each with options, on a queue that has items. */
export const awaited: [string, (queue: Queue, options: object) => Promise<unknown>][] = [
  ['put', (queue, options) => queue.put(ITEM, options)],
  ['putMany', (queue, options) => queue.putMany([ITEM], options)],
  ['get', (queue, options) => queue.get(options)],
  ['getMany', (queue, options) => queue.getMany(2, options)],
  ['lease', (queue, options) => queue.lease(options)],
  ['leaseMany', (queue, options) => queue.leaseMany(2, options)],
];
