/** The addon, as TypeScript sees it, and where it comes from. Nothing loads it before a shared-memory type is resolved. */
import { join, resolve } from 'node:path';
import { PACKAGE_ROOT } from '../../package-root';
import { addonFiles } from './addon-files';
import { QueueError, QueueExistsError, QueueNotFoundError, QueueClosedError, SegmentError } from '../../errors';
import type { SegmentErrorCode } from '../../errors';

/** What a call of the addon returns when it returns no count or length. */
export const EMPTY = -1;
export const FULL = -2;
export const SHUT = -3;
export const TOO_LARGE = -4;
/** The item is taken, and in a hand: it did not fit into the receive buffer, and copyFirst() has it. */
export const LARGE = -5;
/** Shut down as SHUT says, and one of its producers died before. */
export const PRODUCER_LOST = -6;

/** Words that a call leaves in `registers`. */
export const REGISTER_CODEC = 0;
export const REGISTER_LENGTH = 1;
export const REGISTER_DELIVERIES = 2;
/** The number of the hand in which items are. */
export const REGISTER_HELD = 3;
export const REGISTER_CRASHES = 4;
/** For the calls that have no arguments. */
export const REGISTER_HOLDER = 5;
/** Of a claim's room, in `mapping()`. */
export const REGISTER_OFFSET = 6;
export const REGISTER_TABLE = 8;

/** Items that one call moves at most. */
export const MAX_BATCH = 64;

/** Of leaseMany, behind the pairs of the table. */
export const REGISTER_LEASE_IDS = REGISTER_TABLE + 2 * MAX_BATCH;
export const REGISTER_LEASE_DELIVERIES = REGISTER_LEASE_IDS + MAX_BATCH;
export const REGISTER_LEASE_CRASHES = REGISTER_LEASE_DELIVERIES + MAX_BATCH;

export const GETTERS = 0;
export const PUTTERS = 1;
export const JOINERS = 2;
export type Direction = typeof GETTERS | typeof PUTTERS | typeof JOINERS;

/** What comes next for those who wait. */
export const TRY = 0;
export const SLEEP = 1;

/**
 * One participant of one queue, which the handles of its thread share. What is claimed, in hand or on lease is a holder's: one of those
 * handles. `waitMs` of 0 does not wait; a longer one comes back within 100 ms, done or not.
 */
export interface NativeEntry {
  readonly registers: Int32Array;
  /** 0 or a status. */
  put(bytes: Uint8Array, start: number, end: number, codec: number, waitMs: number): number;
  /** put() of a whole raw item, without waiting. Nothing, or a status. */
  putRaw(bytes: Uint8Array): number | undefined;
  /** put() of REGISTER_LENGTH bytes from REGISTER_OFFSET of the encoder's memory on, in the codec of REGISTER_CODEC, without waiting. As putRaw(). */
  putEncoded(): number | undefined;
  /** putMany() of items of the send buffer: MAX_BATCH (length, codec) pairs, then the items one after the other. */
  putManyOut(from: number, count: number, waitMs: number): number;
  /** How many went in, or a status. */
  putMany(items: readonly Uint8Array[], from: number, count: number, codecs: Uint8Array, waitMs: number): number;
  /** Room for a raw item, at REGISTER_OFFSET: 0, or a status. A holder has one claim at a time. */
  claim(bytes: number, waitMs: number, holder: number): number;
  /** claim() without waiting, of REGISTER_LENGTH bytes for REGISTER_HOLDER. Nothing, or a status. */
  claimNow(): number | undefined;
  /** Copies the bytes into the claim's room, where `mapping()` has none to show. */
  fillClaim(holder: number, bytes: Uint8Array): void;
  /** The claim of REGISTER_HOLDER has ended. Nothing, or SHUT: the queue drops what is put. */
  commit(): number | undefined;
  abort(holder: number): void;
  /** Length of the item, now at `offset` of the receive buffer, or a status. LARGE: it is in the hand of REGISTER_HELD. */
  get(offset: number, waitMs: number, holder: number): number;
  /** get() without waiting, to REGISTER_OFFSET and for REGISTER_HOLDER. Nothing, and the length is in REGISTER_LENGTH; or a status. */
  getNow(): number | undefined;
  /**
   * How many items now lie one after the other from `offset` of the receive buffer on; (length, codec) pairs from REGISTER_TABLE on. They are
   * done with when REGISTER_CODEC says that all are raw; otherwise they are in the hand of REGISTER_HELD, and endHand() follows.
   */
  getMany(offset: number, max: number, waitMs: number, holder: number): number;
  /**
   * How many items may be read in place; (offset in the mapping, length) pairs from REGISTER_TABLE on. They are in the hand of REGISTER_HELD. Or
   * a status.
   */
  takeBatch(max: number, waitMs: number, holder: number): number;
  /**
   * What is left in the hand of REGISTER_HELD is done with, and up to REGISTER_LENGTH others are in it, where there are any: nothing, and how many in
   * REGISTER_LENGTH. Or a status, and the hand has ended.
   */
  takeNext(): number | undefined;
  copyFirst(hand: number, into: Uint8Array): void;
  /** Of the hand of REGISTER_HELD, which ends with its last item. */
  ackFirst(): void;
  /** The first `done` items are done with, the others go back. */
  endHand(hand: number, done: number): void;
  peek(): Buffer | undefined;
  /** A lease id, or a status. */
  lease(waitMs: number, holder: number): number;
  copyLease(id: number, into: Uint8Array): void;
  endLease(id: number, ack: boolean): void;
  /**
   * How many items are on lease and lie one after the other from `offset` of the receive buffer on, with their ids, deliveries and crashes in the
   * registers. Or a status; LARGE: the one at the first id did not fit, and copyLease() has it.
   */
  leaseMany(offset: number, max: number, waitMs: number, holder: number): number;
  /** Those whose ids stand from REGISTER_LEASE_IDS on wait here for their turn, or it has come. */
  setAside(count: number, aside: boolean): void;
  /** Ends the leases whose ids stand from REGISTER_LEASE_IDS on. */
  endLeases(count: number, ack: boolean, unseen: boolean): void;
  /** The number of one more holder, from 1 on. */
  join(): number;
  /** What that one held goes back; its number may be another one's from here on. */
  leave(holder: number): void;
  /** Somebody begins to wait on that side, and has found nothing. What comes next: TRY, SLEEP or DONE. */
  beginWaiting(direction: Direction): number;
  /** A try is over; `done` when nobody waits any more. What comes next. */
  tried(direction: Direction, done: boolean): number;
  /** The doorbell rang, or it is time to look again. What comes next. */
  rung(direction: Direction): number;
  /** Nobody waits any more. */
  stopWaiting(direction: Direction): void;
  setReceiveBuffer(buffer: Uint8Array): void;
  setSendBuffer(buffer: Uint8Array): void;
  setEncoderMemory(buffer: Uint8Array): void;
  /** Rings for this entry go to that doorbell, by that tag. */
  setBell(bell: number, tag: number): void;
  /** Nobody else looks after its peers. */
  mustPoll(): boolean;
  /** The payload area as a buffer of its own; undefined where the runtime forbids that. It is detached before the entry closes. */
  mapping(): ArrayBuffer | undefined;
  detach(mapping: ArrayBuffer): void;
  qsize(): number;
  full(): boolean;
  /** Nobody comes to it by its name any more. */
  isRetired(): boolean;
  shutDown(immediate: boolean): void;
  /** One of the handles is a producer's; false: the last of the queue's producers has gone. */
  produce(expected: number): boolean;
  /** One of them has closed, or else is lost. */
  stopProducing(closed: boolean): void;
  /** Nothing is left, in the queue or in anybody's hand. */
  joined(): boolean;
  /** The schemas of its items; the first has the id 1. */
  schemas(): Buffer[];
  /** The id of a schema, which is added unless it is there; 0: there is no room. */
  addSchema(text: Uint8Array): number;
  unlink(): void;
  stats(): NativeStats;
  configuration(): {
    /** Tells segments apart, whatever their names. */
    file: string;
    maxsize: number;
    capacityBytes: number;
    autoCleanup: boolean;
    mode: number;
    permissions: number;
    group: number;
  };
  close(): void;
}

export interface NativeStats {
  qsize: number;
  maxsize: number;
  putTotal: number;
  getTotal: number;
  capacityBytes: number;
  usedBytes: number;
  putBytesTotal: number;
  waitingGetters: number;
  waitingPutters: number;
  recovered: number;
  redelivered: number;
  leased: number;
  attached: { pid: number; alive: boolean; foreign?: true }[];
}

export interface NativeSegment {
  file: string;
  fullName: string;
  kind: 'shm' | 'sage_queue';
  queueId: string;
  bytes: number;
  qsize: number;
  maxsize: number;
  capacityBytes: number;
  ownerUid: number;
  attached: { pid: number; alive: boolean; foreign?: true }[];
  shutDown: boolean;
  layoutVersion: number;
  createdTimestamp: number;
  earlierBoot: boolean;
}

export interface NativeOpenOptions {
  kind: 'shm' | 'sage';
  name: string;
  queueId: string;
  maxsize: number;
  capacityBytes: number;
  mode: number;
  autoCleanup: boolean;
  /** Of its items, at most 64 KiB less 8 bytes; without one a queue has no room for any. */
  schema?: Uint8Array;
  /** The only user who may create it, and whose it may be; -1: this process's own. */
  ownerUid: number;
  /** Whose it may also be. */
  trustedUids: number[];
  create: 'if-missing' | 'never' | 'exclusive';
}

export interface Addon {
  open(options: NativeOpenOptions, entry: Record<keyof NativeEntry, undefined>): NativeEntry;
  /** The file that open() would attach to now; undefined: there is none. */
  find(options: NativeOpenOptions): string | undefined;
  /** @param beginning of their full names (segment-name.ts): no segment whose file tells another one is opened */
  list(beginning?: string): (NativeSegment | { file: string; code: string; error: string })[];
  prune(file: string, includeNonEmpty: boolean): boolean;
  /** A doorbell that whoever may write segments of these permissions may ring. */
  createBell(permissions: number, group: number): { number: number; readFd: number };
  closeBell(bell: number): void;
  /** Removes doorbells that nobody listens to; how many. */
  sweepBells(): number;
  /** malloc keeps more of what is freed for what is allocated next. */
  keepFreedMemory(): void;
  /** Constants of the native side by their names here, so that a test can hold both to the same. */
  numbers(): Record<string, number>;
  readonly directory: string;
  readonly layoutVersion: number;
  readonly napiVersion: number;
  /** Only in builds with named points: this process is killed ('K') or stopped ('S') when it has passed the point `skip` times. */
  arm?(point: string, skip: number, action: 'K' | 'S'): void;
}

/** For the addon to fill in: an object whose properties it adds one by one V8 keeps as a slow dictionary. */
const EMPTY_ENTRY: Record<keyof NativeEntry, undefined> = {
  registers: undefined,
  put: undefined,
  putRaw: undefined,
  putEncoded: undefined,
  putManyOut: undefined,
  getNow: undefined,
  get: undefined,
  putMany: undefined,
  getMany: undefined,
  claim: undefined,
  claimNow: undefined,
  fillClaim: undefined,
  commit: undefined,
  abort: undefined,
  takeBatch: undefined,
  takeNext: undefined,
  copyFirst: undefined,
  ackFirst: undefined,
  endHand: undefined,
  peek: undefined,
  lease: undefined,
  copyLease: undefined,
  endLease: undefined,
  leaseMany: undefined,
  endLeases: undefined,
  setAside: undefined,
  join: undefined,
  leave: undefined,
  beginWaiting: undefined,
  tried: undefined,
  rung: undefined,
  stopWaiting: undefined,
  setReceiveBuffer: undefined,
  setSendBuffer: undefined,
  setEncoderMemory: undefined,
  setBell: undefined,
  mustPoll: undefined,
  mapping: undefined,
  detach: undefined,
  qsize: undefined,
  full: undefined,
  isRetired: undefined,
  shutDown: undefined,
  produce: undefined,
  stopProducing: undefined,
  joined: undefined,
  schemas: undefined,
  addSchema: undefined,
  unlink: undefined,
  stats: undefined,
  configuration: undefined,
  close: undefined,
};

/** Takes an entry of its own in a queue. */
export function openEntry(options: NativeOpenOptions): NativeEntry {
  return loadAddon().open(options, { ...EMPTY_ENTRY });
}

let loaded: Addon | undefined;
let file: string | undefined;

/** Where the addon was loaded from; undefined before it was. */
export const addonFile = (): string | undefined => file;

/** @throws QueueError (ERR_ADDON_MISSING) that says what was looked for and how to get it. */
export function loadAddon(): Addon {
  loaded ??= requireAddon();
  return loaded;
}

function requireAddon(): Addon {
  const named = process.env.SAGE_QUEUE_ADDON;
  const files = named !== undefined && named !== '' ? [resolve(named)] : addonFiles(PACKAGE_ROOT);
  const failures: unknown[] = [];
  for (const candidate of files) {
    try {
      // What require() does in the end. It would look for the file first, and along it for a package.json.
      const addon = { exports: {} as Addon };
      process.dlopen(addon, candidate);
      file = candidate;
      return addon.exports;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new QueueError('ERR_ADDON_MISSING', missing(files, failures), { cause: failures[0] });
}

const isPermissionModelOn = (): boolean => (process as { permission?: object }).permission !== undefined;

function missing(files: string[], failures: unknown[]): string {
  const found = files.map(
    (candidate, index) => `${candidate}: ${(failures[index] as Error).message.split('\n')[0]!.replace(/\.$/, '')}`,
  );
  return (
    `The types 'shm' and 'sage_queue' need the native addon, and none fits ${process.platform}-${process.arch} with Node ${process.version}. ` +
    (found.length === 0
      ? `No binary lies in ${join(PACKAGE_ROOT, 'prebuilds')}; if a bundler made this file, mark sage-queue as external or copy that folder. `
      : `Tried ${found.join('; ')}. `) +
    (isPermissionModelOn()
      ? "Node's permission model is on: it takes --allow-addons, and --allow-fs-read for the folder of this package. "
      : '') +
    'To compile it, allow its install script (`npm approve-scripts sage-queue`, `pnpm approve-builds`, `bun pm trust sage-queue`) and run ' +
    '`npm rebuild sage-queue` with Python 3, make and a C++17 compiler; or set SAGE_QUEUE_ADDON to the path of a .node file. ' +
    'The types local, rpc, ray_actor and ray_queue work without it.'
  );
}

/** The addon's errors carry a code; here they become the package's classes. Others come back as they are. */
export function fromNative(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  if (typeof code !== 'string') return error;
  if (code === 'ERR_QUEUE_NOT_FOUND') return new QueueNotFoundError(message);
  if (code === 'ERR_QUEUE_EXISTS') return new QueueExistsError(message);
  if (code === 'ERR_QUEUE_CLOSED') return new QueueClosedError();
  if (code.startsWith('ERR_SEGMENT_')) return new SegmentError(code as SegmentErrorCode, message);
  return error;
}

/** Runs a call of the addon, with its errors turned into the package's. Not where most calls go: V8 makes a closure, and what it closes over, each time. */
export function native<R>(call: () => R): R {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}
