/** What a server remembers of its clients, so that a put sent again is applied once and a settle sent again is answered. */
import type { Range } from '../transports/rpc/wire/protocol';
import type { Session } from './session';

/** A client that never says what it knows must not grow its record without end. */
const MOST_GAPS = 10_000;
const MOST_SETTLES = 65_536;

export class ClientRecord {
  /** The stream this client has now, if any. */
  session: Session | undefined;
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

/** The records of one queue's clients. */
export class ClientRecords {
  private readonly records = new Map<string, ClientRecord>();

  constructor(
    private readonly rememberMs: number,
    private readonly most: number,
  ) {}

  /** @returns the record, and whether it was there: only then is it complete. */
  claim(clientId: Uint8Array): { record: ClientRecord; remembered: boolean } {
    const key = Buffer.from(clientId).toString('hex');
    this.sweep();
    const known = this.records.get(key);
    if (known !== undefined) {
      // The last one used is the last one forgotten.
      this.records.delete(key);
      this.records.set(key, known);
      return { record: known, remembered: true };
    }
    const record = new ClientRecord();
    this.records.set(key, record);
    return { record, remembered: false };
  }

  /** The stream of this client ended. */
  left(record: ClientRecord): void {
    record.session = undefined;
    record.expiresAt = performance.now() + this.rememberMs;
  }

  forget(record: ClientRecord): void {
    for (const [key, candidate] of this.records) if (candidate === record) return void this.records.delete(key);
  }

  sweep(now = performance.now()): void {
    let surplus = this.records.size - this.most;
    for (const [key, record] of this.records) {
      if (record.session !== undefined) continue;
      if (record.expiresAt <= now || surplus-- > 0) this.records.delete(key);
    }
  }
}
