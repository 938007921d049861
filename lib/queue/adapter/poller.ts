/** A call that asks an inner queue again and again, since that queue does not wait by itself. */
export interface PolledCall {
  /** Keeps its place, and asks for nothing at present: those behind it are served meanwhile. */
  readonly isAside: boolean;
  ask(): void;
}

const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 10;

/**
 * Calls that wait, oldest first. Only the first one asks, so that they are served in order. Between two requests other work of the event
 * loop gets its turn: whoever makes an end of the wait may be part of it.
 */
export class Poller {
  private readonly calls = new Set<PolledCall>();
  private pauseMs = FIRST_PAUSE_MS;
  private cancel: (() => void) | undefined;

  /** Whether one more call has to stand behind others. */
  get isTaken(): boolean {
    return this.calls.size > 0 && this.first !== undefined;
  }

  isFirst(call: PolledCall): boolean {
    return this.first === call;
  }

  private get first(): PolledCall | undefined {
    for (const call of this.calls) if (!call.isAside) return call;
    return undefined;
  }

  /** At the end of the line. */
  enter(call: PolledCall): void {
    this.calls.add(call);
  }

  /** The call asks again. @param early whether the refusal came at once: then the pauses grow, from 1 ms to 10 ms. */
  refused(call: PolledCall, early: boolean): void {
    this.calls.add(call);
    if (this.first !== call || this.cancel !== undefined) return;
    if (!early) return this.wake();
    const timer = setTimeout(() => this.askFirst(), this.pauseMs).unref();
    this.cancel = () => clearTimeout(timer);
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }

  leave(call: PolledCall): void {
    const wasFirst = this.first === call;
    if (this.calls.delete(call) && wasFirst) this.wake();
  }

  /** The first one asks soon. */
  wake(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.pauseMs = FIRST_PAUSE_MS;
    if (!this.isTaken) return;
    const immediate = setImmediate(() => this.askFirst());
    this.cancel = () => clearImmediate(immediate);
  }

  /** What the calls wait for may have come: the first one asks now. */
  serve(): void {
    if (!this.isTaken) return;
    this.cancel?.();
    this.pauseMs = FIRST_PAUSE_MS;
    this.askFirst();
  }

  private askFirst(): void {
    this.cancel = undefined;
    this.first?.ask();
  }
}
