/** What a session has to say, gathered over one turn of the event loop and sent as one frame. */
import type { Delivery, Failure, QueryResult, Range, Rejection, ServerFrame } from '../transports/rpc/wire/protocol';

export interface Wire {
  /** @returns whether more may be written at once. */
  write(frame: ServerFrame): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export class FrameWriter {
  private frame: ServerFrame = {};
  private scheduled = false;
  private congested = false;
  private readonly drained: (() => void)[] = [];
  private closed = false;

  constructor(private readonly wire: Wire) {}

  applied(range: Range): void {
    const applied = ((this.frame.putResult ??= {}).applied ??= []);
    const last = applied[applied.length - 1];
    if (last !== undefined && (last.first as number) + (last.count as number) === range.first)
      last.count = (last.count as number) + (range.count as number);
    else applied.push(range);
    this.schedule();
  }

  rejected(rejection: Rejection): void {
    ((this.frame.putResult ??= {}).rejected ??= []).push(rejection);
    this.schedule();
  }

  delivery(delivery: Delivery): void {
    (this.frame.deliveries ??= []).push(delivery);
    this.schedule();
  }

  settled(settle: number, done: boolean): void {
    const settled = (this.frame.settled ??= { done: [], lost: [] });
    (done ? settled.done! : settled.lost!).push(settle);
    this.schedule();
  }

  answer(result: QueryResult): void {
    (this.frame.queryResults ??= []).push(result);
    this.schedule();
  }

  failure(failure: Failure): void {
    (this.frame.failures ??= []).push(failure);
    this.schedule();
  }

  recall(): void {
    this.frame.recall = true;
    this.schedule();
  }

  stopping(): void {
    this.frame.stopping = true;
    this.schedule();
  }

  /** Undefined: the client reads fast enough. Otherwise a promise of the moment when it has caught up. */
  get backlog(): Promise<void> | undefined {
    return this.congested && !this.closed ? new Promise((resolve) => this.drained.push(resolve)) : undefined;
  }

  /** Sends what there is. */
  flush(): void {
    this.scheduled = false;
    if (this.closed) return;
    const { frame } = this;
    if (Object.keys(frame).length === 0) return;
    this.frame = {};
    // LeasedBatch of one turn end at once or a moment later, by the way they were taken; the gets behind them are to end in their order.
    frame.settled?.done!.sort((one, other) => (one as number) - (other as number));
    if (this.wire.write(frame) || this.congested) return;
    this.congested = true;
    this.wire.once('drain', () => this.release());
  }

  close(): void {
    this.closed = true;
    this.release();
  }

  private release(): void {
    this.congested = false;
    for (const resolve of this.drained.splice(0)) resolve();
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }
}
