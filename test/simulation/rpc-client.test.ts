/** The client of `rpc` before the real server, in random schedules (rpc-client.ts). Each run says its seed; SEED=… repeats it. */
import { simulate } from './simulate';

test('whatever breaks, nothing is lost, nothing is doubled but what may be, and every call ends', () =>
  simulate('rpc-client'));

test('a put that a server took before it died, and that is called off at the next one, may be in', () =>
  simulate('called-off-put'));

test('a put of a client that was forgotten, and did not hear so, is not applied once more', () =>
  simulate('forgotten-client'));

test('a stream that a later one of its client overtook takes nothing from that one', () =>
  simulate('overtaken-stream'));

test('what follows a batch of which nobody knows whether it is in is not put behind it', () =>
  simulate('hole-in-a-batch'));
