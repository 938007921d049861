/** Calls to an actor that serves one of a kind at a time: each has its turn, in order. */
import { QueueClosedError } from '../../../errors';
import { type ActorCall, type CallOwner, unanswered } from './pending-call';

type AnyCall = Pick<ActorCall<unknown>, 'settled' | 'isLate' | 'isAborted' | 'sent' | 'fail'>;

export class Turns implements CallOwner {
  private readonly waiting = new Set<AnyCall>();
  private inHand: AnyCall | undefined;
  private tail: Promise<void> = Promise.resolve();

  constructor(
    readonly what: string,
    readonly answerMs: number,
  ) {}

  /** Settled when nobody waits for a turn or has it. */
  get idle(): Promise<void> {
    return this.tail;
  }

  /** @param serve settles the call, or leaves it when it is settled; what it throws, the call fails with */
  inTurn<T>(call: ActorCall<T>, serve: () => Promise<void>): void {
    this.waiting.add(call);
    this.tail = this.tail.then(async () => {
      try {
        if (call.settled) return;
        this.inHand = call;
        await serve();
      } catch (error) {
        if (!call.settled) call.fail(error);
      } finally {
        this.inHand = undefined;
        this.waiting.delete(call);
      }
    });
  }

  /** The actor has just said no: that is the answer to everybody who does not wait, or no longer. */
  tellLate(no: () => Error): void {
    for (const call of this.waiting) if (call.isLate && !call.settled) call.fail(no());
  }

  /** One that has not been sent leaves at its signal; so does a get that was, since what it brings is kept. */
  interrupt(): void {
    for (const call of this.waiting)
      if (call.isAborted && !call.settled && !(call === this.inHand && call.sent)) call.fail(undefined);
  }

  /** Everybody leaves but a put that is on its way, which is told what became of it. */
  end(): void {
    for (const call of this.waiting)
      if (!call.settled && !(call === this.inHand && call.sent)) call.fail(new QueueClosedError());
  }

  /** That one leaves too: there was no answer in time. */
  abort(): void {
    for (const call of this.waiting)
      if (!call.settled) call.fail(unanswered(this.what, this.answerMs, { outcome: 'unknown' }));
  }
}
