/** The source of a putMany, which may be silent for long: what ends the call must not wait for it to speak. */
import { QueueTimeoutError } from '../errors';
import { onAbort } from '../wait/abort-listeners';
import { Alarm, remainingMs } from '../wait/deadline';
import { onHandleEnd } from './handle-end';
import type { EndingHandle } from './handle-end';
import { readStep } from './item-feed';

/** The time of a putMany is over, and its source silent. What is at hand by then still goes in, as far as there is room. */
export const sourceIsSilent = (): QueueTimeoutError =>
  new QueueTimeoutError('The time was over while the source of the putMany was silent: it may have more items.');

/** When the waits for a source end. */
export interface SourceEnd {
  readonly signal: AbortSignal | undefined;
  /** From then on a source that is silent is not waited for. */
  readonly deadline: number;
  /** Whether the wait for that keeps the process alive. */
  readonly isReferenced: boolean;
}

/** Ends the waits for one source, of which there is one at a time. */
class Interruption {
  reason: { readonly error: unknown } | undefined;
  private reject: ((error: unknown) => void) | undefined;
  /** What the source was asked for last. */
  private asked: Promise<unknown> | undefined;
  private readonly unwatch: () => void;
  private readonly ignoreAbort: () => void;
  private readonly alarm: Alarm;

  constructor(
    handle: EndingHandle,
    private readonly end: SourceEnd,
  ) {
    const { signal, deadline, isReferenced } = end;
    this.unwatch = handle[onHandleEnd]((error) => this.interrupt(error));
    this.ignoreAbort = onAbort(signal, () => this.interrupt(signal?.reason));
    this.alarm = new Alarm(deadline, () => this.endSilence(), isReferenced);
  }

  private endSilence(): void {
    const { asked } = this;
    if (asked === undefined) return;
    void settlesSoon(asked).then((spoke) => {
      if (!spoke && asked === this.asked) this.interrupt(sourceIsSilent());
    });
  }

  /** The next step of the source. */
  ask<R>(start: () => PromiseLike<R>): Promise<R> {
    return this.bound(() => {
      const asked = (this.asked = Promise.resolve(start()));
      if (remainingMs(this.end.deadline) === 0) this.endSilence();
      return asked;
    });
  }

  /** What the source does that was left. */
  async untilLeft(left: Promise<unknown>): Promise<void> {
    // A generator begins with it in the next microtask: what it does in this turn of the event loop is waited for in any case.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    await this.ask(() => left);
  }

  private interrupt(error: unknown): void {
    this.reason ??= { error };
    this.reject?.(this.reason.error);
  }

  /** Not Promise.race with one promise for all: that one would remember every wait. */
  bound<R>(start: () => PromiseLike<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.reason !== undefined) return reject(this.reason.error);
      this.reject = reject;
      Promise.resolve(start()).then(resolve, reject);
    });
  }

  dispose(): void {
    this.unwatch();
    this.ignoreAbort();
    this.alarm.cancel();
  }
}

/**
 * The items of `source`, until the signal fires, the handle is closed or shut down through itself, or the time is over: then throws the
 * signal's reason, QueueClosedError, QueueShutDownError or QueueTimeoutError, even while the source is silent, and the last only then.
 * What its next() brings after that is lost; its return() is called, and waited for until then, where the source is not silent. The source is
 * asked for nothing before `ready` has come; the handle is watched from this call on, so that it has to be iterated.
 *
 * @example
 * for await (const item of interruptible(items, this, { signal, deadline, isReferenced }, () => this.empty())) await this.put(item);
 */
export function interruptible<T>(
  source: AsyncIterable<T>,
  handle: EndingHandle,
  end: SourceEnd,
  ready?: () => PromiseLike<unknown>,
): AsyncGenerator<T, void, undefined> {
  return itemsUntil(new Interruption(handle, end), source, ready);
}

async function* itemsUntil<T>(
  interruption: Interruption,
  source: AsyncIterable<T>,
  ready: (() => PromiseLike<unknown>) | undefined,
): AsyncGenerator<T, void, undefined> {
  let iterator: AsyncIterator<T> | undefined;
  // Not once it has ended or thrown by itself.
  let mayReturn = false;
  try {
    if (ready !== undefined) await interruption.bound(ready);
    const asked = (iterator = source[Symbol.asyncIterator]());
    for (;;) {
      const step = readStep(await interruption.ask(() => asked.next()));
      if (step.done === true) return;
      mayReturn = true;
      yield step.value;
      mayReturn = false;
    }
  } finally {
    const leave = async (): Promise<unknown> => iterator?.return?.();
    // Whoever leaves has an error already.
    const left = mayReturn || interruption.reason !== undefined ? leave().catch(() => {}) : undefined;
    // A generator that is silent answers return() only when it speaks again.
    if (interruption.reason === undefined && left !== undefined) await interruption.untilLeft(left).catch(() => {});
    interruption.dispose();
  }
}

/** What a source does that was left, until the call it was of would have ended anyhow. @param check throws where it has */
export async function untilLeft(
  left: Promise<unknown>,
  handle: EndingHandle,
  end: Omit<SourceEnd, 'isReferenced'>,
  check: () => void,
): Promise<void> {
  const interruption = new Interruption(handle, { ...end, isReferenced: true });
  try {
    check();
    await interruption.untilLeft(left);
  } catch {
    // The call has an error already.
  } finally {
    interruption.dispose();
  }
}

/** Whether the promise settles before this turn of the event loop ends: a source whose next item does not is silent. */
export function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const immediate = setImmediate(resolve, false);
    const settled = (): void => {
      clearImmediate(immediate);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}

/** The items of a source. @param silent told when it falls silent, and when it has spoken */
export async function* tellingOfSilence<T>(
  source: AsyncGenerator<T, void, undefined>,
  silent: (isSilent: boolean) => void,
): AsyncGenerator<T, void, undefined> {
  try {
    for (;;) {
      const next = source.next();
      if (!(await settlesSoon(next))) silent(true);
      const step = await next;
      silent(false);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await source.return();
  }
}
