/** Calls that block the thread, in slices that the addon keeps short: worker.terminate() and process.exit() get through. */
import { deadlineOf, remainingMs } from '../../wait/deadline';
import { SYNC_WAIT_OPTIONS } from '../../wait/options';
import type { SyncWaitOptions } from '../../wait/options';
import { watchedSync } from '../../wait/wait-channel';
import type { WaitingCall } from '../../wait/wait-channel';
import { waitOf } from './attachment';
import type { AttachedQueue } from './attachment';

const LONGEST_SLICE_MS = 1000;

/**
 * Tries, and then waits as `options` say. No try block lies around the attempts that bring something at once: V8 makes the Buffers
 * in one half as fast.
 */
export function block<R>(
  queue: AttachedQueue,
  call: WaitingCall,
  options: SyncWaitOptions | undefined,
  late: () => Error,
  attempt: (waitMs: number) => R | undefined,
): R {
  const wait = waitOf(queue, options, SYNC_WAIT_OPTIONS);
  const outcome = attempt(0) ?? blockUntil(queue, call, deadlineOf(wait), attempt);
  if (outcome === undefined) throw late();
  return outcome;
}

/** Repeats `attempt` until it brings something or the time is over. */
export function blockUntil<R>(
  queue: AttachedQueue,
  call: WaitingCall,
  deadline: number,
  attempt: (waitMs: number) => R | undefined,
): R | undefined {
  const wait = (): R | undefined => {
    for (let left = remainingMs(deadline); left > 0; left = remainingMs(deadline)) {
      const outcome = attempt(Math.min(LONGEST_SLICE_MS, Math.ceil(left)));
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  };
  try {
    return remainingMs(deadline) > 0 ? watchedSync(queue.descriptor, call, wait) : undefined;
  } finally {
    // There is one bell for each direction, and this wait took it down: the calls that wait beside it put it up again.
    queue.attachment.entry.rung();
  }
}
