import { refuseUnknown } from '../util/known-options';
import { batchTests } from './contract-batches';
import { basicTests } from './contract-basics';
import { boundTests } from './contract-bounds';
import { leaseTests } from './contract-leases';
import { endTests } from './contract-ends';
import { serializationTests } from './contract-serialization';
import { streamTests } from './contract-streams';
import { asWholeQueue, findRunner, withQueue } from './harness';
import type { MakeQueue, Tests } from './harness';
import type { Queue, QueueLike } from '../queue/types';

/** What `describeQueueContract` takes. */
export interface ContractOptions {
  /** `make` gives a queue with a maxsize (best a small one); it is filled to the brim. */
  bounded?: boolean;
  /** Items are serialized on their way (all types but those that stay in one thread). */
  shared?: boolean;
}

/**
 * Runs the contract of `QueueLike` against an implementation, inside jest, vitest, mocha or node:test. Where
 * the queue offers all of `Queue`, that is tested too. `make` is called for each test and must give a queue that is empty;
 * each is emptied and closed afterwards.
 *
 * @example
 * describeQueueContract('my_custom', () => resolveDescriptor(QueueDescriptor.fromJSON(text)), { bounded: true });
 */
export function describeQueueContract(name: string, make: MakeQueue, options?: ContractOptions): void {
  if (typeof options === 'object' && options !== null) refuseUnknown(options, ['bounded', 'shared']);
  const { describe, it } = findRunner();
  const add = (tests: Tests<QueueLike>): void => {
    for (const [title, body] of Object.entries(tests)) it(title, () => withQueue(make, body));
  };
  const addWhole = (tests: Tests<Queue>): void => {
    for (const [title, body] of Object.entries(tests)) {
      it(title, () =>
        withQueue(make, async (queue) => {
          const whole = asWholeQueue(queue);
          if (whole !== undefined) await body(whole);
        }),
      );
    }
  };
  describe(`queue contract: ${name}`, () => {
    add(basicTests);
    if (options?.bounded === true) {
      add(boundTests.four);
      addWhole(boundTests.whole);
    }
    if (options?.shared === true) add(serializationTests);
    addWhole(streamTests);
    addWhole(endTests);
    addWhole(leaseTests);
    addWhole(batchTests);
  });
}
