import { ignoreAbort, listenForAbort } from './abort-listeners';
import { Alarm, deadlineOf, keepAlive } from './deadline';
import type { Wait } from './deadline';

/**
 * One wait: ends by being served, by its timeout, by its signal or by its queue, whichever is first, and leaves nothing behind.
 * One small object, since most waits are short.
 */
export abstract class WaitingCall {
  private readonly alarm: Alarm | undefined;
  private referenced = false;

  constructor(
    private readonly wait: Wait,
    private readonly reject: (reason: unknown) => void,
  ) {
    if (wait.timeoutMs !== Infinity) this.alarm = new Alarm(deadlineOf(wait), () => this.fail(this.timedOut()));
    if (wait.signal !== undefined) listenForAbort(wait.signal, this);
  }

  protected abstract timedOut(): Error;

  /** Out of the line it stands in. */
  protected abstract leave(): void;

  fail(reason: unknown): void {
    this.end();
    this.reject(reason);
  }

  /** What the signal calls. */
  handleEvent(): void {
    this.fail(this.wait.signal?.reason);
  }

  /** Whether it keeps the process alive. */
  setReferenced(referenced: boolean): void {
    if (referenced === this.referenced) return;
    this.referenced = referenced;
    if (referenced) keepAlive.hold();
    else keepAlive.drop();
  }

  protected end(): void {
    this.alarm?.cancel();
    if (this.wait.signal !== undefined) ignoreAbort(this.wait.signal, this);
    this.setReferenced(false);
    this.leave();
  }
}
