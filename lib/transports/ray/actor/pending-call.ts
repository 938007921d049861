import { deadlineOf } from '../../../wait/deadline';
import type { Wait } from '../../../wait/options';
import { PendingCall } from '../../../wait/pending-call';

/**
 * A call that waits for the actor. While the actor has it in hand it cannot end by itself: once its time is over or its signal fired
 * it has a `reason` to, and ends when the answer is there.
 */
export class ActorCall<T> extends PendingCall {
  readonly deadline: number;
  readonly promise: Promise<T>;
  /** Why it is to leave. */
  reason: { error: unknown } | undefined;
  settled = false;
  private readonly fulfil: (value: T) => void;

  /** @param hasReason called once there is a reason to leave */
  constructor(
    wait: Wait,
    private readonly late: () => Error,
    private readonly hasReason: () => void,
  ) {
    let fulfil!: (value: T) => void;
    let reject!: (error: unknown) => void;
    const promise = new Promise<T>((...settle) => ([fulfil, reject] = settle));
    // One that does not wait is answered by the actor, however long that takes.
    super(wait.timeoutMs === 0 ? { timeoutMs: Infinity, signal: wait.signal } : wait, reject);
    this.promise = promise;
    this.fulfil = fulfil;
    this.deadline = deadlineOf(wait);
    this.immediate = wait.timeoutMs === 0;
  }

  /** Whether it does not wait for the queue. */
  readonly immediate: boolean;

  protected override timedOut(): Error {
    return this.late();
  }

  override giveUp(error: unknown): void {
    if (this.settled || this.reason !== undefined) return;
    this.reason = { error };
    this.hasReason();
  }

  resolve(value: T): void {
    this.end();
    this.fulfil(value);
  }

  protected override leave(): void {
    this.settled = true;
  }
}
