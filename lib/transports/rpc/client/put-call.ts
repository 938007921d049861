/** One put under way: its items, how far they have come, and how it ends. */
import { QueueConnectionError, QueueError, QueueFullError } from '../../../errors';
import { withOutcomeUnknown } from '../../../queue/outcome';
import { onAbort } from '../../../wait/abort-listeners';
import type { ItemBatch } from '../wire/item-batch';
import { OUTCOME_UNKNOWN } from './call-timeout';
import type { CallTimeout } from './call-timeout';

/** How putting ended: `applied` items went in; `failed` says why not all. */
export interface PutOutcome {
  applied: number;
  failed?: { error: unknown };
}

/**
 * open: on its way. failing: no more of it is sent, and it ends with the error once the server has told what of it went in. ended: its
 * promise is settled.
 */
type PutState = { name: 'open' } | { name: 'failing'; error: unknown } | { name: 'ended' };

let made = 0;

export class PutCall {
  /** Smaller than that of each call that was made later. */
  readonly number = ++made;
  state: PutState = { name: 'open' };
  /** Index of the first item that was not sent. */
  next = 0;
  /** Items of which the server said that they are in. */
  applied = 0;
  /** Parts that were sent and not answered. */
  chunks = 0;
  /** A server had some of it and is gone without an answer: what the next one says of it is not all. */
  isElsewhere = false;
  /** Takes its listener off the signal. */
  private ignoreAbort = (): void => {};

  constructor(
    readonly items: ItemBatch,
    readonly deadline: CallTimeout,
    /** Calls of one nonzero group are applied in order up to the first that fails. */
    readonly group: number,
    private readonly signal: AbortSignal | undefined,
    private readonly settle: (outcome: PutOutcome) => void,
  ) {}

  /** `abort` is called with the signal's reason when it fires. */
  listen(abort: (reason: unknown) => void): void {
    const { signal } = this;
    this.ignoreAbort = onAbort(signal, () => abort(signal?.reason));
  }

  /** Whether it does not wait for room: then it is not held up by those that do, since the server decides at once. */
  get immediate(): boolean {
    return this.deadline.timeoutMs === 0;
  }

  get allSent(): boolean {
    return this.next === this.items.count;
  }

  /** Nothing of it is sent any more; the first reason counts. */
  failing(error: unknown): void {
    if (this.state.name === 'open') this.state = { name: 'failing', error };
  }

  /** Nothing more can be learned of it. */
  get complete(): boolean {
    return this.chunks === 0 && (this.state.name === 'failing' || this.allSent);
  }

  /** @returns whether it had not ended before. */
  end(): boolean {
    const { state } = this;
    if (state.name === 'ended') return false;
    this.state = { name: 'ended' };
    this.deadline.clear();
    this.ignoreAbort();
    const { applied } = this;
    if (state.name === 'failing' && applied < this.items.count)
      this.settle({ applied, failed: { error: this.asFarAsKnown(state.error) } });
    else this.settle({ applied });
    return true;
  }

  /** A signal's reason belongs to the caller, and others may get it too. */
  private asFarAsKnown(error: unknown): unknown {
    const isKnown = this.chunks === 0 && !this.isElsewhere;
    if (isKnown || error === this.signal?.reason || !(error instanceof QueueError)) return error;
    return withOutcomeUnknown(error, `The server has not said what became of what was sent to it; ${OUTCOME_UNKNOWN}.`);
  }
}

/** Where the further items of a call that is still reading them belong: what was put after it waits until it is `released`. */
export class PutPlace {
  /** Its source is silent: others pass meanwhile. */
  isAside = false;
  /** One of its batches has failed: no other goes in. */
  failed: { error: unknown } | undefined;

  constructor(readonly group: number) {}
}

/** It may be in the queue or not. */
export function unknownOutcome(reason: string): QueueConnectionError {
  return new QueueConnectionError(`put: ${reason}; ${OUTCOME_UNKNOWN}`, { outcome: 'unknown' });
}

export function full(waited: number): QueueFullError {
  return new QueueFullError(`the queue had no room within ${waited} ms`);
}

/** None of it left this process. */
export function unsentInTime(where: string, waited: number, why: string): QueueConnectionError {
  return new QueueConnectionError(`put: not sent to ${where} within ${waited} ms, since ${why}`);
}
