/** `sage-queue:wait` of node:diagnostics_channel: the end of each call that could not be answered at once. */
import { channel } from 'node:diagnostics_channel';

/** What a call waits for: an item, room, or the end of all work. */
export type WaitingCall = 'get' | 'put' | 'join';

/** What subscribers of `sage-queue:wait` get. */
export interface WaitMessage {
  /** The descriptor of the handle whose call it is. */
  readonly queue: unknown;
  readonly call: WaitingCall;
  readonly waitedMs: number;
  /** What the call ended with, unless it got what it waited for. */
  readonly error?: unknown;
}

const waits = channel('sage-queue:wait');

/** Nothing is built unless somebody subscribed. */
export function watched<R>(queue: unknown, call: WaitingCall, waiting: Promise<R>): Promise<R> {
  if (!waits.hasSubscribers) return waiting;
  const began = performance.now();
  const tell = (failure?: { error: unknown }): void => {
    const message: WaitMessage = { queue, call, waitedMs: performance.now() - began, ...failure };
    waits.publish(message);
  };
  return waiting.then(
    (value) => {
      tell();
      return value;
    },
    (error: unknown) => {
      tell({ error });
      throw error;
    },
  );
}

/** The same around a wait that blocks the thread; undefined: in vain. */
export function watchedSync<R>(queue: unknown, call: WaitingCall, wait: () => R | undefined): R | undefined {
  if (!waits.hasSubscribers) return wait();
  const began = performance.now();
  let failure: { error: unknown } | undefined = { error: undefined };
  try {
    const outcome = wait();
    if (outcome !== undefined) failure = undefined;
    return outcome;
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    const message: WaitMessage = { queue, call, waitedMs: performance.now() - began, ...failure };
    waits.publish(message);
  }
}
