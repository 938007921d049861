/** The campaign of `test/work/campaign` on a virtual loop (good-jobs.ts). JOBS=100000 takes a minute; SEED=… repeats a run. */
import { simulate } from './simulate';

test(
  'good jobs wait hardly longer for the bad ones beside them, and none is blamed for a death',
  () => simulate('good-jobs'),
  1_000_000,
);
