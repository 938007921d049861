/** How many items of a queue may pause on lease, and keep their place in it. */
import type { Queue } from '../queue/types';

/** Of a queue without a maxsize. */
const WITHOUT_BOUND = 1000;

export class WaitingPlaces {
  /** @param places Undefined: by the maxsize of the queue. */
  constructor(
    private readonly queue: Pick<Queue, 'descriptor' | 'stats'>,
    private places: number | undefined,
  ) {}

  count(): number {
    if (this.places === undefined) {
      const { maxsize } = this.queue.descriptor.metadata;
      this.places = quarterOf(maxsize);
      // Whoever attached to a queue that was there may not have named its size.
      if (typeof maxsize !== 'number')
        this.queue.stats().then(
          (stats) => (this.places = quarterOf(stats.maxsize)),
          () => {},
        );
    }
    return this.places;
  }
}

const quarterOf = (maxsize: unknown): number =>
  typeof maxsize === 'number' && maxsize > 0 ? Math.max(1, Math.floor(maxsize / 4)) : WITHOUT_BOUND;
