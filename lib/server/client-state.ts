/** What a server remembers of its clients, so that a put sent again is applied once and a settle sent again is answered. */
import type { Range } from '../transports/rpc/wire/protocol';

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
  appliedThrough = 0;
  /** Numbers up to appliedThrough that were not applied; sorted. */
  private gaps: { first: number; end: number }[] = [];
  private readonly settled = new Set<number>();

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

  wasSettled(settle: number): boolean {
    return this.settled.has(settle);
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
  ) {}

  /** @returns the state, and whether it was there: only then is it complete. */
  claim(clientId: Uint8Array): { state: ClientState; remembered: boolean } {
    const key = Buffer.from(clientId).toString('hex');
    this.sweep();
    const known = this.states.get(key);
    if (known !== undefined) {
      // The last one used is the last one forgotten.
      this.states.delete(key);
      this.states.set(key, known);
      return { state: known, remembered: true };
    }
    const state = new ClientState();
    this.states.set(key, state);
    return { state, remembered: false };
  }

  /** The stream of this client ended. */
  left(state: ClientState): void {
    state.session = undefined;
    state.expiresAt = performance.now() + this.rememberMs;
  }

  forget(state: ClientState): void {
    for (const [key, candidate] of this.states) if (candidate === state) return void this.states.delete(key);
  }

  sweep(now = performance.now()): void {
    let surplus = this.states.size - this.most;
    for (const [key, state] of this.states) {
      if (state.session !== undefined) continue;
      if (state.expiresAt <= now || surplus-- > 0) this.states.delete(key);
    }
  }
}
