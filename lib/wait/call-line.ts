/** Calls that wait for the same thing, served in the order in which they were made. */
import type { Wait } from './options';
import { PendingCall } from './pending-call';
import { watched } from './wait-channel';
import type { WaitingCall } from './wait-channel';

/** Keeps its place, and asks for nothing at the moment: those behind wait for it. */
export const HOLDS = Symbol('holds');
/** Asks for nothing until it says so, and keeps its place: those behind may pass meanwhile. */
export const ASIDE = Symbol('aside');

/** What a try says of a call that goes on waiting; undefined: it waits for what the line is for. */
export type LineState = typeof HOLDS | typeof ASIDE | undefined;

/** One try: its result, or undefined for "not yet". What it throws ends the call. */
export type Attempt<R> = () => { value: R } | LineState;

/** The calls of one handle: closing it ends them, ref() and unref() reach them. */
export class CallGroup {
  readonly calls = new Set<PendingCall>();
  /** Its handle's descriptor, for those who watch waits. */
  queue: unknown;

  constructor(private referenced = true) {}

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
  /** Whether it is tried although those before it wait: a call that does not wait, or no longer, which goes on for another reason. */
  readonly mayPass?: () => boolean;
}

class LineCall<R> extends PendingCall {
  private trying = false;
  private isLate = false;
  /** Why it is to end, should its try bring nothing. */
  private reason: { readonly error: unknown } | undefined;

  constructor(
    private readonly line: CallLine,
    private readonly request: LineRequest<R>,
    /** What the last try said of it. */
    public state: LineState,
    private readonly resolve: (value: R) => void,
    reject: (reason: unknown) => void,
  ) {
    super(request.wait, reject);
    request.group.add(this);
  }

  get mayPass(): boolean {
    return this.request.mayPass?.() ?? false;
  }

  /** @returns whether it is out of the way of those behind */
  tryNow(): boolean {
    if (this.trying) return false;
    this.trying = true;
    try {
      const outcome = this.request.attempt();
      this.state = typeof outcome === 'symbol' ? outcome : undefined;
      if (typeof outcome === 'object') {
        this.end();
        this.resolve(outcome.value);
        return true;
      }
    } catch (error) {
      this.reason = { error };
    } finally {
      this.trying = false;
    }
    if (this.reason === undefined) return this.state === ASIDE;
    this.fail(this.reason.error);
    return true;
  }

  /** A try runs code of the program's (codecs, sources), which may abort the call or close its handle: what it took is not lost to that. */
  override giveUp(error: unknown): void {
    if (this.trying) this.reason ??= { error };
    // A wait that times out takes a last look: should nobody have been able to tell it, what it waits for is there all the same.
    else if (!this.isLate || !this.line.isFirst(this as LineCall<unknown>) || !this.tryNow()) this.fail(error);
  }

  protected override timedOut(): Error {
    this.isLate = true;
    return this.request.late();
  }

  protected override leave(): void {
    this.request.group.calls.delete(this);
    this.line.left(this as LineCall<unknown>);
  }
}

export class CallLine {
  private readonly calls = new Set<LineCall<unknown>>();
  /** Those of them that may pass at some time. */
  private readonly passers = new Set<LineCall<unknown>>();

  /** @param freed called when a call has left, served or not; `first`: those behind it may be served */
  constructor(
    private readonly call: WaitingCall,
    private readonly freed: (first: boolean) => void,
  ) {}

  /** Those that wait for what the line is for. */
  get waiting(): number {
    let waiting = 0;
    for (const call of this.calls) if (call.state === undefined) waiting++;
    return waiting;
  }

  private get first(): LineCall<unknown> | undefined {
    for (const call of this.calls) if (call.state !== ASIDE) return call;
    return undefined;
  }

  isFirst(call: LineCall<unknown>): boolean {
    return this.first === call;
  }

  /** Whether one more call has to stand behind others. */
  get isTaken(): boolean {
    return this.calls.size > 0 && this.first !== undefined;
  }

  /** Whether the first one waits for what the line is for. */
  get isWanted(): boolean {
    const { first } = this;
    return first !== undefined && first.state === undefined;
  }

  /** At the end of the line. @param state what its own first try said of it */
  add<R>(request: LineRequest<R>, state?: LineState): Promise<R> {
    const waiting = new Promise<R>((resolve, reject) => {
      const call = new LineCall(this, request, state, resolve, reject) as LineCall<unknown>;
      this.calls.add(call);
      if (request.mayPass !== undefined) this.passers.add(call);
    });
    return watched(request.group.queue, this.call, waiting);
  }

  /** Serves from the front until one has to go on waiting: then it is `wanted`. `more`: so many were served, and others come next. */
  serve(limit = Infinity): 'idle' | 'wanted' | 'more' {
    let served = 0;
    for (const call of this.calls) {
      if (served === limit) return 'more';
      if (!call.tryNow()) {
        const { state } = call;
        for (const passer of this.passers) if (passer !== call && passer.mayPass) passer.tryNow();
        return state === HOLDS ? 'idle' : 'wanted';
      }
      if (call.state !== ASIDE) served++;
    }
    return 'idle';
  }

  /** The end of all of them. */
  giveUp(reason: () => unknown): void {
    for (const call of [...this.calls]) call.giveUp(reason());
  }

  left(call: LineCall<unknown>): void {
    const wasFirst = this.first === call;
    this.calls.delete(call);
    this.passers.delete(call);
    this.freed(wasFirst);
  }
}
