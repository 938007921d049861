/** Consumers, their handlers and their queues in random schedules (consume.ts). Each run says its seed; SEED=… repeats it. */
import { simulate } from './simulate';

test('each item is done, or dead and said so, once, whatever its handlers, its consumers and their queues do', () =>
  simulate('consume'));
