/** Housekeeping over the shared-memory segments of this host. */
import { givenOptions } from '../../descriptor/normalize-options';
import { fromNative, loadAddon, native } from './addon';
import type { NativeSegment } from './addon';

/** What `listSegments` tells of a queue in shared memory. */
export interface SegmentInfo {
  /** As the user named it: the shm_name, or the queue id. */
  name: string;
  /** `shm` or `sage_queue`. */
  queueType: 'shm' | 'sage_queue';
  /** Of the descriptor that made it. */
  queueId: string;
  /** sage_queue: the namespace it was made in, where there is one. */
  namespace?: string;
  /** sage_queue, where it is not this user's own: the user whose queue of this name it is; null where it is shared by all users. */
  tenantUid?: number | null;
  /** Of shared memory, all in all. */
  bytes: number;
  /** Items there now. */
  qsize: number;
  /** Most items; 0: no limit but the bytes. */
  maxsize: number;
  /** Who has it open, and whether the process lives; `foreign`: of another pid namespace, in which alone its pid means something. */
  attached: { pid: number; alive: boolean; foreign?: true }[];
  /** Whether it takes no more puts. */
  shutDown: boolean;
  /** Of the bytes in the segment. */
  layoutVersion: number;
  /** Seconds since the epoch. */
  createdTimestamp: number;
  /** Made before this system was started the last time: a directory on disk. Whoever had it open then counts as dead. */
  earlierBoot?: true;
}

/** A segment that could not be read, and why. */
export interface UnreadableSegment {
  file: string;
  error: Error;
}

/** The parts that a full name joins by '+': the kind, for a sage_queue the user and the namespace, and what the user called it. */
function partsOf(fullName: string): Pick<SegmentInfo, 'name' | 'namespace' | 'tenantUid'> {
  const parts = fullName.split('+');
  const name = parts.at(-1)!;
  if (parts.length !== 4) return { name };
  const [, tenant, namespace] = parts as [string, string, string, string];
  const tenantUid = tenant === '' ? null : Number(tenant.slice(1));
  return {
    name,
    ...(namespace === '' ? {} : { namespace }),
    ...(tenantUid === (process.getuid?.() ?? null) ? {} : { tenantUid }),
  };
}

const infoOf = (segment: NativeSegment): SegmentInfo => ({
  ...partsOf(segment.fullName),
  queueType: segment.kind,
  queueId: segment.queueId,
  bytes: segment.bytes,
  qsize: segment.qsize,
  maxsize: segment.maxsize,
  attached: segment.attached,
  shutDown: segment.shutDown,
  layoutVersion: segment.layoutVersion,
  createdTimestamp: segment.createdTimestamp,
  ...(segment.earlierBoot ? { earlierBoot: true as const } : {}),
});

const isReadable = (found: ReturnType<ReturnType<typeof loadAddon>['list']>[number]): found is NativeSegment =>
  'fullName' in found;

/** The segments of this host that this user may read. Looking at one does not attach to it. */
export function listSegments(): SegmentInfo[] {
  return loadAddon().list().filter(isReadable).map(infoOf);
}

/** Files that have this package's name but cannot be read: another layout version, another user's, damaged. */
export function listUnreadableSegments(): UnreadableSegment[] {
  return loadAddon()
    .list()
    .flatMap((found) =>
      isReadable(found)
        ? []
        : [
            {
              file: found.file,
              error: fromNative(Object.assign(new Error(found.error), { code: found.code })) as Error,
            },
          ],
    );
}

/** Removes the doorbells of processes that were killed and that nobody recovered; how many. */
export const sweepDoorbells = (): number => loadAddon().sweepBells();

/**
 * Removes segments that nobody alive is attached to and that hold no items (with `includeNonEmpty`: also those that do), of those that
 * `match` says yes to; never a live one, never another user's. Returns what was, or with `dryRun` would be, removed.
 */
export function pruneSegments(options?: {
  dryRun?: boolean;
  includeNonEmpty?: boolean;
  match?: (segment: SegmentInfo) => boolean;
}): SegmentInfo[] {
  const { dryRun, includeNonEmpty, match } = givenOptions(
    options,
    ['dryRun', 'includeNonEmpty', 'match'],
    (message) => new TypeError(message),
  );
  const withItems = includeNonEmpty === true;
  const unused = findUnused('', withItems, match);
  if (dryRun === true) return unused.map(infoOf);
  sweepDoorbells();
  return remove(unused, withItems);
}

/**
 * The same of those whose full names (segment-name.ts) begin so, whatever they hold. The others cost their place in a listing of the
 * directory, however many there are.
 */
export function pruneSegmentsNamed(beginning: string, match: (segment: SegmentInfo) => boolean): SegmentInfo[] {
  const unused = findUnused(beginning, true, match);
  if (unused.length === 0) return [];
  sweepDoorbells();
  return remove(unused, true);
}

function findUnused(
  beginning: string,
  includeNonEmpty: boolean,
  match: ((segment: SegmentInfo) => boolean) | undefined,
): NativeSegment[] {
  const own = process.getuid?.();
  return loadAddon()
    .list(beginning)
    .filter(isReadable)
    .filter(
      (segment) =>
        segment.ownerUid === own &&
        segment.attached.every(({ alive }) => !alive) &&
        (includeNonEmpty || segment.qsize === 0) &&
        (match?.(infoOf(segment)) ?? true),
    );
}

const remove = (unused: readonly NativeSegment[], includeNonEmpty: boolean): SegmentInfo[] =>
  unused.filter(({ file }) => native(() => loadAddon().prune(file, includeNonEmpty))).map(infoOf);
