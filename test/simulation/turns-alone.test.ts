/** What a dead consumer had is run by those that are left, who never run out of work (turns-alone.ts). SEED=… repeats a run. */
import { simulate } from './simulate';

test('of 3 or 17 consumers one dies: the suspects are run by those that are left', () => simulate('turns-alone'));
