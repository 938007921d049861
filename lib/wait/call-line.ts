/** Calls that wait for the same thing, served in the order in which they were made. */
import type { Wait } from './options';
import { PendingCall } from './pending-call';

/** Keeps its place, and asks for nothing at the moment: those behind wait for it. */
export const HOLDS = Symbol('holds');
/** Asks for nothing until it says so, and keeps its place: those behind may pass meanwhile. */
export const ASIDE = Symbol('aside');

/** One try: its result, or undefined for "not yet". What it throws ends the call. */
export type Attempt<R> = () => { value: R } | typeof HOLDS | typeof ASIDE | undefined;

/** The calls of one handle: closing it ends them, ref() and unref() reach them. */
export class CallGroup {
  readonly calls = new Set<PendingCall>();
  private referenced = true;

  add(call: PendingCall): void {
    this.calls.add(call);
    call.setReferenced(this.referenced);
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const call of this.calls) call.setReferenced(referenced);
  }

  /** The end of all of them. */
  giveUp(reason: () => unknown): void {
    for (const call of [...this.calls]) call.giveUp(reason());
  }
}

export interface LineRequest<R> {
  readonly wait: Wait;
  readonly attempt: Attempt<R>;
  /** What the call says when its time is over. */
  readonly late: () => Error;
  readonly group: CallGroup;
}

class LineCall<R> extends PendingCall {
  /** What the last try said of it. */
  state: typeof HOLDS | typeof ASIDE | undefined;

  constructor(
    private readonly line: CallLine,
    private readonly request: LineRequest<R>,
    private readonly resolve: (value: R) => void,
    reject: (reason: unknown) => void,
  ) {
    super(request.wait, reject);
    request.group.add(this);
  }

  /** @returns whether it is out of the way of those behind */
  tryNow(): boolean {
    try {
      const outcome = this.request.attempt();
      this.state = typeof outcome === 'symbol' ? outcome : undefined;
      if (typeof outcome !== 'object') return outcome === ASIDE;
      this.end();
      this.resolve(outcome.value);
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  protected override timedOut(): Error {
    return this.request.late();
  }

  protected override leave(): void {
    this.request.group.calls.delete(this);
    this.line.left(this as LineCall<unknown>);
  }
}

export class CallLine {
  private readonly calls = new Set<LineCall<unknown>>();

  /** @param freed called when a call has left: those behind it may be served */
  constructor(private readonly freed: () => void) {}

  /** Those that wait for what the line is for. */
  get waiting(): number {
    let waiting = 0;
    for (const call of this.calls) if (call.state === undefined) waiting++;
    return waiting;
  }

  /** Whether one more call has to stand behind others. */
  get isTaken(): boolean {
    for (const call of this.calls) if (call.state !== ASIDE) return true;
    return false;
  }

  /** At the end of the line; it is tried when the line is served. */
  add<R>(request: LineRequest<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.calls.add(new LineCall(this, request, resolve, reject) as LineCall<unknown>);
    });
  }

  /** Serves from the front until one has to go on waiting. */
  serve(): void {
    for (const call of this.calls) if (!call.tryNow()) break;
  }

  /** The end of all of them. */
  giveUp(reason: () => unknown): void {
    for (const call of [...this.calls]) call.giveUp(reason());
  }

  left(call: LineCall<unknown>): void {
    this.calls.delete(call);
    this.freed();
  }
}
