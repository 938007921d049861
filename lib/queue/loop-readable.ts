/** What the readable streams over queues have in common: they take what a reader asked for, and have it at hand for a loop. */
import { Readable } from 'node:stream';
import { QueueShutDownError, SerializationError } from '../errors';
import { iterateAtHand } from './at-hand-iterator';
import type { AtHand } from './at-hand-iterator';
import { onHandleClosing } from './handle-end';
import type { ClosingHandle } from './handle-end';

/**
 * Items are taken on lease. Those that have left the stream are acknowledged, and all others go back when it is destroyed, or when its handle
 * is closed: nothing is shown from then on.
 *
 * A `for await` gets its first item through Node's own iterator, and so each end and error; the others it gets at hand. Whoever reads beside it
 * gets what comes next.
 */
export abstract class LoopReadable<T, Leased extends { release(): Promise<void> }>
  extends Readable
  implements AtHand<T>
{
  private readonly leaving = new AbortController();
  protected readonly waiting: { readonly signal: AbortSignal } = { signal: this.leaving.signal };
  protected hasLoop = false;
  /** An item is on its way. */
  protected isTaking = false;
  private taking: Promise<void> | undefined;
  /** Of what came when the stream was destroyed, or of what it had when its handle was closed. */
  private releasing: Promise<void> | undefined;
  /** What is taken now is for the stream's own buffer. */
  private isAsked = false;
  private isAtEnd = false;
  private ignoreClosing: (() => void) | undefined;
  /** Its handle is closed: nothing is shown any more. */
  protected closing: Error | undefined;

  constructor(private readonly handle: ClosingHandle) {
    // Only what a reader asked for is taken.
    super({ objectMode: true, highWaterMark: 0 });
  }

  /** Waits for what comes next. @throws QueueShutDownError at the end of the items */
  protected abstract lease(): Promise<Leased>;
  /** Has it at hand. */
  protected abstract keep(leased: Leased): void;
  protected abstract isAtHand(): boolean;
  /** Moves what is at hand, or the first of it, to the stream's own buffer. */
  protected abstract pushAtHand(): void;
  abstract takeAtHand(): IteratorYieldResult<T> | undefined;
  /** Acknowledges what has left the stream. */
  protected abstract settle(): void;
  /** Whether it has something that has not. */
  protected abstract get isHolding(): boolean;
  /** What has not left the stream goes back. */
  protected abstract releaseAll(): Promise<void>;

  override _read(): void {
    // What is on its way comes before what is at hand meanwhile.
    if (!this.isTaking && this.isAtHand()) return this.pushAtHand();
    this.isAsked = true;
    this.advance();
  }

  fetch(): Promise<void> | undefined {
    if (this.readableLength > 0 || this.isHeard) return undefined;
    return this.isTaking || !this.isAtHand() ? this.advance() : undefined;
  }

  /** Somebody else hears of each item that leaves the stream's own buffer. */
  protected get isHeard(): boolean {
    return this.listenerCount('data') > 0;
  }

  /** @returns what is over once something has come, or nothing will */
  private advance(): Promise<void> | undefined {
    if (this.isAtEnd || this.destroyed) return undefined;
    if (!this.isTaking) {
      this.ignoreClosing ??= this.handle[onHandleClosing]((reason) => this.handleClosing(reason));
      this.isTaking = true;
      this.taking = this.takeNext();
    }
    return this.taking;
  }

  private async takeNext(): Promise<void> {
    let leased: Leased;
    try {
      leased = await this.lease();
    } catch (error) {
      if (this.leaving.signal.aborted) return;
      this.isTaking = false;
      if (error instanceof QueueShutDownError) this.end();
      else this.destroy(error as Error);
      return;
    }
    if (this.destroyed) {
      this.releasing = leased.release();
      return;
    }
    this.isTaking = false;
    // It has gone back with its handle.
    if (this.closing !== undefined) return void this.destroy(this.closing);
    this.keep(leased);
    if (!this.isAsked) return;
    this.isAsked = false;
    this.pushAtHand();
  }

  /** What it still has goes back. Whoever asks for the next item is told. */
  private handleClosing(reason: Error): void {
    this.settle();
    if (this.isAtEnd && !this.isHolding) return;
    this.closing = reason;
    this.releasing = this.releaseAll();
    // Nobody may read it any more, and so hear of that.
    this.releasing.catch((error: unknown) =>
      process.emitWarning(`An item of a closed handle could not be put back: ${String(error)}`),
    );
  }

  private end(): void {
    this.isAtEnd = true;
    this.push(null);
  }

  /** Whether it is none that an object stream can carry: that is the end of the stream, and the item goes back. */
  protected refuses(item: T): boolean {
    if (item !== null && item !== undefined) return false;
    this.destroy(
      new SerializationError(
        `An object stream cannot carry ${item}: use get() or the async iterator. The item is back in the queue.`,
      ),
    );
    return true;
  }

  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<T> {
    this.hasLoop = true;
    return iterateAtHand(this, super[Symbol.asyncIterator]() as NodeJS.AsyncIterator<T>);
  }

  /** Nothing, once its handle is closed or it is destroyed: Node would go on with its buffer. */
  override read(size?: number): unknown {
    if (this.closing !== undefined) this.destroy(this.closing);
    return this.destroyed ? null : super.read(size);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.ignoreClosing?.();
    this.leaving.abort();
    const requeue = async (): Promise<void> => {
      await this.releaseAll();
      await this.taking;
      await this.releasing;
    };
    requeue().then(
      () => callback(error),
      (failure: Error) => callback(error ?? failure),
    );
  }
}
