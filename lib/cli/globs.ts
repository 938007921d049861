/** Names of shared-memory queues by pattern: `sage:jobs.*`, `*dead*`, `shm:frame-[0-3]`. */
import type { SegmentInfo } from '../transports/shm/segments';
import { segmentUri } from './queue-uri';

export const isGlob = (text: string): boolean => /[*?[]/.test(text);

/** The whole text, as a shell matches names; * goes over everything. */
function patternOf(glob: string): RegExp {
  const parts = glob.replace(
    /\[(!?)((?:[^\]\\]|\\.)+)\]|[*?]|[\\^$.|+(){}\]/[]/g,
    (found, not?: string, set?: string) => {
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\^\[]/g, '\\$&')}]`;
      if (found === '*') return '.*';
      return found === '?' ? '.' : `\\${found}`;
    },
  );
  return new RegExp(`^${parts}$`, 's');
}

/** Says of a segment whether one of the globs names it: its URI, or its name alone. Without globs all are meant. */
export function segmentFilter(globs: readonly string[]): (segment: SegmentInfo) => boolean {
  const patterns = globs.map(patternOf);
  return (segment) =>
    patterns.length === 0 ||
    patterns.some((pattern) => pattern.test(segmentUri(segment)) || pattern.test(segment.name));
}
