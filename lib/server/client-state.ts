/** What a server remembers of its clients, so that a put sent again is applied once and a settle sent again is answered. */
import { toNumber } from '../transports/rpc/wire/protocol';
import type { Range, Settle } from '../transports/rpc/wire/protocol';
import { DeliveryTable, divide, endOf, release } from './delivery-table';
import type { Delivery } from './delivery-table';

/** A client that never says what it knows must not grow its state without end. */
const MOST_GAPS = 10_000;
const MOST_SETTLES = 65_536;

/** A stream of the client. */
export interface ClientSession {
  refuse(status: number, code: string, message: string): void;
  end(): Promise<void>;
}

export class ClientState {
  /** The stream this client has now, if any. */
  session: ClientSession | undefined;
  /** When it may be forgotten; only counts without a session. */
  expiresAt = Infinity;
  /** Not of a client that had been forgotten, until it has heard so: it may have sent what is not in here. */
  isComplete = true;
  appliedThrough = 0;
  private latestStream = 0;
  /** Of its next delivery. */
  nextTag = 1;
  /** What its program may have of what was delivered on the stream that broke. */
  private readonly kept = new DeliveryTable();
  private keeping: NodeJS.Timeout | undefined;
  /** Numbers up to appliedThrough that were not applied; sorted. */
  private gaps: { first: number; end: number }[] = [];
  private readonly settled = new Set<number>();

  constructor(private readonly keepMs: number) {}

  /** A stream that a later one of the client's overtook on its way would take from that one what it was given. @param stream 0: not said */
  isLatest(stream: number): boolean {
    if (stream > 0 && stream < this.latestStream) return false;
    this.latestStream = stream;
    return true;
  }

  /** Its stream broke: these go back unless it comes back in time to say what it has of them. */
  keep(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    for (const delivery of deliveries) this.kept.add(delivery);
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => void this.releaseKept(), this.keepMs).unref();
  }

  /**
   * It has come back with settles that were not answered, and with tags of what it holds on to. What else was kept it has not shown.
   * @returns the numbers of the settles that took effect, and what it still has
   */
  async settleKept(settles: readonly Settle[], holds: readonly Range[]): Promise<{ done: number[]; held: Delivery[] }> {
    clearTimeout(this.keeping);
    const done: number[] = [];
    for (const settle of settles) {
      const number = toNumber(settle.settle);
      if (!this.settled.has(number)) {
        const settled = this.kept.settle(toNumber(settle.tag), toNumber(settle.count), endOf(settle));
        if (settled === undefined) continue;
        try {
          await settled.ended;
        } catch {
          continue;
        }
        this.settledNow(number);
      }
      done.push(number);
    }
    const [held, rest] = divide(this.kept.takeAll(), holds);
    await release(rest, () => false).catch(() => {});
    return { done, held: held.map((delivery) => ({ ...delivery, use: 'given' })) };
  }

  /** It may have been shown. */
  async releaseKept(): Promise<void> {
    clearTimeout(this.keeping);
    await release(this.kept.takeAll(), () => true).catch(() => {});
  }

  wasApplied(sequence: number): boolean {
    return sequence <= this.appliedThrough && !this.gaps.some((gap) => gap.first <= sequence && sequence < gap.end);
  }

  applied(first: number, count: number): void {
    const end = first + count;
    if (first > this.appliedThrough) {
      if (first > this.appliedThrough + 1) this.gaps.push({ first: this.appliedThrough + 1, end: first });
      this.appliedThrough = end - 1;
    } else {
      this.gaps = this.gaps.flatMap((gap) => [
        ...(gap.first < first ? [{ first: gap.first, end: Math.min(gap.end, first) }] : []),
        ...(gap.end > end ? [{ first: Math.max(gap.first, end), end: gap.end }] : []),
      ]);
    }
    if (this.gaps.length > MOST_GAPS) this.gaps.splice(0, this.gaps.length - MOST_GAPS);
  }

  /** The client knows the outcome of every put up to here. */
  knownPuts(through: number): void {
    while (this.gaps.length > 0 && this.gaps[0]!.end <= through + 1) this.gaps.shift();
  }

  settledNow(settle: number): void {
    this.settled.add(settle);
    if (this.settled.size > MOST_SETTLES) this.settled.delete(this.settled.values().next().value!);
  }

  knownSettles(through: number): void {
    for (const settle of this.settled) {
      if (settle > through) break;
      this.settled.delete(settle);
    }
  }

  notApplied(): Range[] {
    return this.gaps.map((gap) => ({ first: gap.first, count: gap.end - gap.first }));
  }
}

/** The states of one queue's clients. */
export class ClientStates {
  private readonly states = new Map<string, ClientState>();

  constructor(
    private readonly rememberMs: number,
    private readonly most: number,
    /** How long what a client may have is kept for it. */
    private readonly keepMs: number,
  ) {}

  /** @param wasHere it says so, of this server. @returns the state, and whether it holds all that the client ever sent to this server */
  claim(clientId: Uint8Array, wasHere: boolean): { state: ClientState; remembered: boolean } {
    const key = Buffer.from(clientId).toString('hex');
    this.sweep();
    const known = this.states.get(key);
    if (known !== undefined) {
      // The last one used is the last one forgotten.
      this.states.delete(key);
      this.states.set(key, known);
      return { state: known, remembered: known.isComplete };
    }
    const state = new ClientState(this.keepMs);
    state.isComplete = !wasHere;
    this.states.set(key, state);
    return { state, remembered: false };
  }

  /** This stream of the client ended; it may have a later one. */
  left(state: ClientState, session: ClientSession): void {
    if (state.session !== session) return;
    state.session = undefined;
    state.expiresAt = performance.now() + this.rememberMs;
  }

  forget(state: ClientState): void {
    void state.releaseKept();
    for (const [key, candidate] of this.states) if (candidate === state) return void this.states.delete(key);
  }

  async releaseKept(): Promise<void> {
    for (const state of this.states.values()) await state.releaseKept();
  }

  sweep(now = performance.now()): void {
    let surplus = this.states.size - this.most;
    for (const [key, state] of this.states) {
      if (state.session !== undefined) continue;
      if (state.expiresAt > now && surplus-- <= 0) continue;
      void state.releaseKept();
      this.states.delete(key);
    }
  }
}
