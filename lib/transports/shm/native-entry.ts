/** One place in one queue's segment, as the addon has it. */
import { REGISTER_ENTRY, entryCalls, loadAddon, registers } from './addon';
import type { Direction, NativeConfiguration, NativeOpenOptions, NativeStats } from './addon';

/** The addon's functions: each works on the entry whose number stands in REGISTER_ENTRY. */
export type EntryCalls = { [Name in Exclude<keyof NativeEntry, 'registers' | 'configuration'>]: NativeEntry[Name] };

/**
 * One participant of one queue, which the handles of its thread share. What is claimed, in hand or on lease is a holder's: one of those
 * handles. `waitMs` of 0 does not wait; a longer one comes back within 100 ms, done or not.
 */
export class NativeEntry {
  /** The words of this thread. */
  readonly registers = registers;
  readonly configuration: NativeConfiguration;
  private readonly number: number;
  private readonly functions: EntryCalls;

  /** Takes a place of its own in a queue. */
  constructor(options: NativeOpenOptions) {
    this.configuration = loadAddon().open(options, this);
    this.number = this.configuration.number;
    this.functions = entryCalls as EntryCalls;
  }

  /**
   * For one call at once, whose arguments are known: nothing may come between that could speak of another entry. Short enough for V8 to put it into
   * each call wherever that is: it reads two fields for that, since names of the module are checked for their being there at each use.
   */
  private get calls(): EntryCalls {
    this.registers[REGISTER_ENTRY] = this.number;
    return this.functions;
  }

  /** 0 or a status. */
  put(bytes: Uint8Array, start: number, end: number, codec: number, waitMs: number): number {
    return this.calls.put(bytes, start, end, codec, waitMs);
  }

  /** put() of a whole raw item, without waiting. Nothing, or a status. */
  putRaw(bytes: Uint8Array): number | undefined {
    return this.calls.putRaw(bytes);
  }

  /** putRaw() of REGISTER_LENGTH bytes at REGISTER_TABLE. */
  putSmall(): number | undefined {
    return this.calls.putSmall();
  }

  /** put() of REGISTER_LENGTH bytes from REGISTER_OFFSET of the encoder's memory on, in the codec of REGISTER_CODEC, without waiting. As putRaw(). */
  putEncoded(): number | undefined {
    return this.calls.putEncoded();
  }

  /** putMany() of items of the send buffer: MAX_BATCH (length, codec) pairs, then the items one after the other. */
  putManyOut(from: number, count: number, waitMs: number): number {
    return this.calls.putManyOut(from, count, waitMs);
  }

  /** How many went in, or a status. */
  putMany(items: readonly Uint8Array[], from: number, count: number, codecs: Uint8Array, waitMs: number): number {
    return this.calls.putMany(items, from, count, codecs, waitMs);
  }

  /** Room for a raw item, at REGISTER_OFFSET: 0, or a status. A holder has one claim at a time. */
  claim(bytes: number, waitMs: number, holder: number): number {
    return this.calls.claim(bytes, waitMs, holder);
  }

  /** claim() without waiting, of REGISTER_LENGTH bytes for REGISTER_HOLDER. Nothing, or a status. */
  claimNow(): number | undefined {
    return this.calls.claimNow();
  }

  /** Copies the bytes into the claim's room, where `mapping()` has none to show. */
  fillClaim(holder: number, bytes: Uint8Array): void {
    this.calls.fillClaim(holder, bytes);
  }

  /** The claim of REGISTER_HOLDER has ended. Nothing, or SHUT: the queue drops what is put. */
  commit(): number | undefined {
    return this.calls.commit();
  }

  abort(holder: number): void {
    this.calls.abort(holder);
  }

  /** Length of the item, now at `offset` of the receive buffer, or a status. LARGE: it is in the hand of REGISTER_HELD. */
  get(offset: number, waitMs: number, holder: number): number {
    return this.calls.get(offset, waitMs, holder);
  }

  /** get() without waiting, to REGISTER_OFFSET and for REGISTER_HOLDER. Nothing, and the length is in REGISTER_LENGTH; or a status. */
  getNow(): number | undefined {
    return this.calls.getNow();
  }

  /**
   * How many items now lie one after the other from `offset` of the receive buffer on; (length, codec) pairs from REGISTER_TABLE on. They are
   * done with when REGISTER_CODEC says that all are raw; otherwise they are in the hand of REGISTER_HELD, and endHand() follows.
   */
  getMany(offset: number, max: number, waitMs: number, holder: number): number {
    return this.calls.getMany(offset, max, waitMs, holder);
  }

  /**
   * How many items may be read in place; (offset in the mapping, length) pairs from REGISTER_TABLE on. They are in the hand of REGISTER_HELD. Or
   * a status.
   */
  takeBatch(max: number, waitMs: number, holder: number): number {
    return this.calls.takeBatch(max, waitMs, holder);
  }

  /**
   * What is left in the hand of REGISTER_HELD is done with, and up to REGISTER_LENGTH others are in it, where there are any: nothing, and how many in
   * REGISTER_LENGTH. Or a status, and the hand has ended.
   */
  takeNext(): number | undefined {
    return this.calls.takeNext();
  }

  copyFirst(hand: number, into: Uint8Array): void {
    this.calls.copyFirst(hand, into);
  }

  /** Of the hand of REGISTER_HELD, which ends with its last item. */
  ackFirst(): void {
    this.calls.ackFirst();
  }

  /** The first `done` items are done with, the others go back; unseen: as if they had not been taken. */
  endHand(hand: number, done: number, unseen: boolean): void {
    this.calls.endHand(hand, done, unseen);
  }

  peek(): Buffer | undefined {
    return this.calls.peek();
  }

  /** A lease id, or a status. */
  lease(waitMs: number, holder: number): number {
    return this.calls.lease(waitMs, holder);
  }

  copyLease(id: number, into: Uint8Array): void {
    this.calls.copyLease(id, into);
  }

  /**
   * How many items are on lease and lie one after the other from `offset` of the receive buffer on, with their ids, deliveries and crashes in the
   * registers. Or a status; LARGE: the one at the first id did not fit, and copyLease() has it.
   */
  leaseMany(offset: number, max: number, waitMs: number, holder: number): number {
    return this.calls.leaseMany(offset, max, waitMs, holder);
  }

  /** Those whose ids stand from REGISTER_LEASE_IDS on wait here for their turn, or it has come. */
  setAside(count: number, aside: boolean): void {
    this.calls.setAside(count, aside);
  }

  /** Ends the leases whose ids stand from REGISTER_LEASE_IDS on. */
  endLeases(count: number, ack: boolean, unseen: boolean): void {
    this.calls.endLeases(count, ack, unseen);
  }

  /** The number of one more holder, from 1 on. */
  join(): number {
    return this.calls.join();
  }

  /** What that one held goes back; its number may be another one's from here on. */
  leave(holder: number): void {
    this.calls.leave(holder);
  }

  /** Somebody begins to wait on that side, and has found nothing. What comes next: TRY, SLEEP or DONE. */
  beginWaiting(direction: Direction): number {
    return this.calls.beginWaiting(direction);
  }

  /** A try is over; `done` when nobody waits any more. What comes next. */
  tried(direction: Direction, done: boolean): number {
    return this.calls.tried(direction, done);
  }

  /** The doorbell rang, or it is time to look again. What comes next. */
  rung(direction: Direction): number {
    return this.calls.rung(direction);
  }

  /** Nobody waits any more. */
  stopWaiting(direction: Direction): void {
    this.calls.stopWaiting(direction);
  }

  setReceiveBuffer(buffer: Uint8Array): void {
    this.calls.setReceiveBuffer(buffer);
  }

  setSendBuffer(buffer: Uint8Array): void {
    this.calls.setSendBuffer(buffer);
  }

  setEncoderMemory(buffer: Uint8Array): void {
    this.calls.setEncoderMemory(buffer);
  }

  /** Items of the schema with this id can be read here: get() takes any other to be unreadable perhaps, and leaves it in a hand as it does a large one. */
  setSchema(id: number): void {
    this.calls.setSchema(id);
  }

  /** Rings for this entry go to that doorbell, by that tag. False: not all, for want of descriptors. */
  setBell(bell: number, tag: number): boolean {
    return this.calls.setBell(bell, tag);
  }

  /** Nobody else looks after its peers. */
  mustPoll(): boolean {
    return this.calls.mustPoll();
  }

  /** The payload area as a buffer of its own; undefined where the runtime forbids that. It is detached before the entry closes. */
  mapping(): ArrayBuffer | undefined {
    return this.calls.mapping();
  }

  detach(mapping: ArrayBuffer): void {
    this.calls.detach(mapping);
  }

  qsize(): number {
    return this.calls.qsize();
  }

  full(): boolean {
    return this.calls.full();
  }

  /** Items claimed and not taken: qsize() as near as it is known without a look at each. */
  untaken(): number {
    return this.calls.untaken();
  }

  /** Nobody comes to it by its name any more. */
  isRetired(): boolean {
    return this.calls.isRetired();
  }

  shutDown(immediate: boolean): void {
    this.calls.shutDown(immediate);
  }

  /** One of the handles is a producer's; false: the last of the queue's producers has gone. */
  produce(expected: number): boolean {
    return this.calls.produce(expected);
  }

  /** One of them has closed, or else is lost. */
  stopProducing(closed: boolean): void {
    this.calls.stopProducing(closed);
  }

  /** Nothing is left, in the queue or in anybody's hand. */
  joined(): boolean {
    return this.calls.joined();
  }

  /** The schemas of its items; the first has the id 1. */
  schemas(): Buffer[] {
    return this.calls.schemas();
  }

  /** The id of a schema, which is added unless it is there; 0: there is no room. */
  addSchema(text: Uint8Array): number {
    return this.calls.addSchema(text);
  }

  unlink(): void {
    this.calls.unlink();
  }

  stats(): NativeStats {
    return this.calls.stats();
  }

  close(): void {
    this.calls.close();
  }
}
