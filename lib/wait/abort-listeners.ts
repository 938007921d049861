/**
 * The calls that wait for one signal share one listener on it: Node takes more than ten for a leak and says so, and the limit of a
 * signal is its owner's to set.
 */
interface AbortListener {
  handleEvent(): void;
}

class SharedListener {
  readonly listeners = new Set<AbortListener>();

  /** What the signal calls. */
  handleEvent(): void {
    for (const listener of [...this.listeners]) listener.handleEvent();
  }
}

const shared = new WeakMap<AbortSignal, SharedListener>();

/** `listener.handleEvent` is called when the signal fires, in the order of these calls; soon where it has fired already, which it does once. */
export function listenForAbort(signal: AbortSignal, listener: AbortListener): void {
  let one = shared.get(signal);
  if (one === undefined) {
    one = new SharedListener();
    shared.set(signal, one);
    signal.addEventListener('abort', one, { once: true });
  }
  one.listeners.add(listener);
  if (signal.aborted) tellSoon(one, listener);
}

/** Not at once: who listens may still be in the making. */
function tellSoon({ listeners }: SharedListener, listener: AbortListener): void {
  queueMicrotask(() => {
    if (listeners.has(listener)) listener.handleEvent();
  });
}

/** The last one to leave takes the shared listener off. */
export function ignoreAbort(signal: AbortSignal, listener: AbortListener): void {
  const one = shared.get(signal);
  if (one === undefined || !one.listeners.delete(listener) || one.listeners.size > 0) return;
  shared.delete(signal);
  signal.removeEventListener('abort', one);
}

const nothing = (): void => {};

/** Calls `aborted` once the signal fires, now if it has. @returns what ends that */
export function onAbort(signal: AbortSignal | undefined, aborted: () => void): () => void {
  if (signal === undefined) return nothing;
  if (signal.aborted) {
    aborted();
    return nothing;
  }
  const listener = { handleEvent: aborted };
  listenForAbort(signal, listener);
  return () => ignoreAbort(signal, listener);
}

/** The promise, or the signal's reason once it fires. */
export function untilAborted<V>(promise: Promise<V>, signal: AbortSignal | undefined): Promise<V> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const ignore = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(ignore);
  });
}

/** The end of one call that works ahead of its source: `signal` fires with the call's own signal, or when the call ends itself. */
export class CallEnd {
  private readonly controller = new AbortController();
  readonly signal: AbortSignal = this.controller.signal;
  /** Leaves nothing on the outer signal. */
  readonly dispose: () => void;

  constructor(outer: AbortSignal | undefined) {
    this.dispose = onAbort(outer, () => this.end(outer?.reason));
  }

  end(reason: unknown): void {
    this.controller.abort(reason);
  }
}
