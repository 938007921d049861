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

/** Words of `registers`. */
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
/** The entry on which a call works, by number. */
export const REGISTER_ENTRY = 7;
export const REGISTER_TABLE = 8;

/** Items that one call moves at most. */
export const MAX_BATCH = 64;

/** Of leaseMany, behind the pairs of the table. */
export const REGISTER_LEASE_IDS = REGISTER_TABLE + 2 * MAX_BATCH;
export const REGISTER_LEASE_DELIVERIES = REGISTER_LEASE_IDS + MAX_BATCH;
export const REGISTER_LEASE_CRASHES = REGISTER_LEASE_DELIVERIES + MAX_BATCH;

export const REGISTERS = REGISTER_LEASE_CRASHES + MAX_BATCH;

/**
 * What calls of the addon and those who make them leave for each other: one for all entries of a thread. So what a call left is read before another
 * one that leaves something there, and before a program's code runs; decoding is such code where the codec is the program's.
 */
export const registers = new Int32Array(REGISTERS);

export const GETTERS = 0;
export const PUTTERS = 1;
export const JOINERS = 2;
export type Direction = typeof GETTERS | typeof PUTTERS | typeof JOINERS;

/** What comes next for those who wait. */
export const TRY = 0;
export const SLEEP = 1;

/** What the addon says of an entry when it is opened: its number, which file the segment is, and what the queue was made with. */
export interface NativeConfiguration {
  readonly number: number;
  /** Tells segments apart, whatever their names. */
  readonly file: string;
  readonly maxsize: number;
  readonly capacityBytes: number;
  readonly autoCleanup: boolean;
  readonly mode: number;
  readonly permissions: number;
  readonly group: number;
  /** It was made with a schema. */
  readonly hasSchema: boolean;
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
  /** The functions of all entries (native-entry.ts), which leave words in `registers`. */
  calls(registers: Int32Array): object;
  /** An entry, which is there for as long as `object` is. */
  open(options: NativeOpenOptions, object: object): NativeConfiguration;
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

let loaded: Addon | undefined;
let file: string | undefined;
/** The functions of all entries, once the addon is loaded. */
export let entryCalls: object;

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
      // A prototype, since V8 finds what is in one at once, however much it is.
      entryCalls = Object.create(addon.exports.calls(registers)) as object;
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
