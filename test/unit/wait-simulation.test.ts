/** Random schedules of a line of waiting calls (test/simulation/wait-line.ts). Each run says its seed; SEED=… repeats it. */
import { simulate } from '../simulation/simulate';

test('whoever waits is served in order or told why not, once, and nothing is left of it', () => simulate('wait-line'));
