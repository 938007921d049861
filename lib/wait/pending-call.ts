import { ignoreAbort, listenForAbort } from './abort-listeners';
import { Alarm, deadlineOf } from './deadline';
import { keepAlive } from './keep-alive';
import type { Wait } from './options';

/**
 * One call that waits: ends by being served, by its timeout, by its signal or by its queue, whichever is first, and leaves nothing behind.
 * One small object, since most waits are short.
 */
export abstract class PendingCall {
  private readonly alarm: Alarm | undefined;
  private referenced = false;

  constructor(
    protected readonly wait: Wait,
    private readonly reject: (reason: unknown) => void,
  ) {
    if (wait.timeoutMs !== Infinity) this.alarm = new Alarm(deadlineOf(wait), () => this.giveUp(this.timedOut()));
    if (wait.signal !== undefined) listenForAbort(wait.signal, this);
  }

  /** What the call says when its time is over. */
  protected abstract timedOut(): Error;

  /** Out of the line it stands in. */
  protected abstract leave(): void;

  /** Its time is over, its signal fired or its handle closed: it ends now, unless its type overrides this, for an answer that is on its way. */
  giveUp(reason: unknown): void {
    this.fail(reason);
  }

  /** The end of the call, with an error. */
  fail(reason: unknown): void {
    this.end();
    this.reject(reason);
  }

  /** What the signal calls. */
  handleEvent(): void {
    this.giveUp(this.wait.signal?.reason);
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
