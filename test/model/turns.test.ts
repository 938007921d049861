/**
 * Every answer waits for a turn of the event loop, as it does on a machine that is so busy that ten milliseconds pass between two
 * items of one call: then other calls come in between.
 */
import * as fairness from '../../lib/wait/fairness';
import { holdToReference } from './sequences';
import { adapter, local, sageQueue, shm } from './types';

jest.mock('../../lib/wait/fairness', () => {
  const real = jest.requireActual<typeof fairness>('../../lib/wait/fairness');
  const isTurnOver = jest.fn(() => true);
  const refused = (error: unknown): Promise<never> => real.nextTurn().then(() => Promise.reject(error as Error));
  return { ...real, isTurnOver, refused };
});

test.each([local, adapter, shm, sageQueue])(
  '$name does as the reference when every answer waits for a turn',
  async (type) => {
    jest.mocked(fairness.isTurnOver).mockClear();
    await holdToReference({ ...type, runMs: 3000 });
    expect(fairness.isTurnOver).toHaveBeenCalled();
  },
  3_600_000,
);
