/** The source of a putMany, which may be silent for long: what ends the call must not wait for it to speak. */
import { ignoreAbort, listenForAbort } from '../wait/abort-listeners';
import { QueueClosedError, QueueShutDownError } from '../errors';
import type { NativeQueue, Queue } from './types';

type Handle = Pick<Queue, 'close' | 'shutdown'> & Partial<Pick<NativeQueue, 'closeSync'>>;
type Ended = (reason: Error) => void;

const watched = new WeakMap<Handle, Set<Ended>>();

/**
 * Calls back when the handle is closed or shut down through itself. Its methods are covered by ones that tell, so that no type has to,
 * and none can forget it.
 */
function watchHandle(handle: Handle, ended: Ended): () => void {
  const listeners = watched.get(handle) ?? cover(handle);
  listeners.add(ended);
  return () => listeners.delete(ended);
}

function cover(handle: Handle): Set<Ended> {
  const listeners = new Set<Ended>();
  watched.set(handle, listeners);
  const tell = (reason: Error): void => {
    for (const ended of [...listeners]) ended(reason);
  };
  const replace = (name: keyof Handle, value: unknown): void => {
    Object.defineProperty(handle, name, { value, configurable: true, writable: true });
  };
  const { close, closeSync, shutdown } = handle;
  replace('close', () => {
    const closing = close.call(handle);
    tell(new QueueClosedError());
    return closing;
  });
  if (closeSync !== undefined) {
    replace('closeSync', () => {
      closeSync.call(handle);
      tell(new QueueClosedError());
    });
  }
  replace('shutdown', async (options?: { immediate?: boolean }) => {
    await shutdown.call(handle, options);
    tell(new QueueShutDownError('The queue was shut down and takes no more items.'));
  });
  return listeners;
}

/** Ends the waits for one source, of which there is one at a time. */
class Interruption {
  reason: { readonly error: unknown } | undefined;
  private reject: ((error: unknown) => void) | undefined;
  private readonly unwatch: () => void;

  constructor(
    handle: Handle,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.unwatch = watchHandle(handle, (error) => this.interrupt(error));
    if (signal?.aborted) this.handleEvent();
    else if (signal !== undefined) listenForAbort(signal, this);
  }

  /** What the signal calls. */
  handleEvent(): void {
    this.interrupt(this.signal?.reason);
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
    if (this.signal !== undefined) ignoreAbort(this.signal, this);
  }
}

/**
 * The items of `source`, until the signal fires, or the handle is closed or shut down through itself: then throws the signal's reason,
 * QueueClosedError or QueueShutDownError, even while the source is silent. What its next() brings after that is lost; its return() is
 * called, and waited for only where the source is not silent. The source is asked for nothing before `ready` has come; the handle is
 * watched from this call on, so that it has to be iterated.
 *
 * @example
 * for await (const item of interruptible(items, this, wait.signal, () => this.empty())) await this.put(item);
 */
export function interruptible<T>(
  source: AsyncIterable<T>,
  handle: Handle,
  signal: AbortSignal | undefined,
  ready?: () => PromiseLike<unknown>,
): AsyncGenerator<T, void, undefined> {
  return itemsUntil(new Interruption(handle, signal), source, ready);
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
      const result = await interruption.bound(() => asked.next());
      if (result.done === true) return;
      mayReturn = true;
      yield result.value;
      mayReturn = false;
    }
  } finally {
    interruption.dispose();
    const leave = async (): Promise<unknown> => iterator?.return?.();
    // A generator that is silent answers return() only when it speaks again.
    if (interruption.reason !== undefined) leave().catch(() => {});
    else if (mayReturn) await leave();
  }
}
