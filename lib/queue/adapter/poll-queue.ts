/** A call that asks an inner queue again and again, since that queue does not wait by itself. */
export interface PollingCall {
  ask(): void;
}

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 10;

/**
 * Calls that were refused before their time was over, oldest first. Only the first one asks, so that they are served in order. Between
 * two questions other work of the event loop gets its turn: whoever makes an end of the wait may be part of it.
 */
export class PollingLine {
  private readonly calls = new Set<PollingCall>();
  private pauseMs = FIRST_PAUSE_MS;
  private cancel: (() => void) | undefined;

  get length(): number {
    return this.calls.size;
  }

  /** @param early whether the refusal came at once: then the pauses grow, from 1 ms to 10 ms. */
  refused(call: PollingCall, early: boolean): void {
    this.calls.add(call);
    if (this.first !== call || this.cancel !== undefined) return;
    if (!early) return this.wake();
    const timer = setTimeout(() => this.askFirst(), this.pauseMs).unref();
    this.cancel = () => clearTimeout(timer);
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }

  leave(call: PollingCall): void {
    const wasFirst = this.first === call;
    if (!this.calls.delete(call) || !wasFirst) return;
    this.rest();
    if (this.calls.size > 0) this.wake();
  }

  /** The first one asks soon. */
  wake(): void {
    this.rest();
    const immediate = setImmediate(() => this.askFirst());
    this.cancel = () => clearImmediate(immediate);
  }

  private get first(): PollingCall | undefined {
    const [first] = this.calls;
    return first;
  }

  private rest(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.pauseMs = FIRST_PAUSE_MS;
  }

  private askFirst(): void {
    this.cancel = undefined;
    this.first?.ask();
  }
}
