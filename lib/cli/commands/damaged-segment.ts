/** Files that have the name of a queue and hold none. Nobody can attach to them, so they go as files. */
import { lstatSync, readFileSync, readdirSync, unlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { SegmentError } from '../../errors';
import { loadAddon } from '../../transports/shm/addon';
import { listUnreadableSegments } from '../../transports/shm/segments';

/** Mode bits that let users other than the owner in. */
const OTHERS = 0o066;

/**
 * Removes the file of which this error tells that it is no whole segment.
 * @throws SegmentError that says why it stays, and what removes it: another user's, one that a process has mapped, one of another layout version.
 */
export function removeDamaged(error: SegmentError): void {
  // The same file brings the same words: a long name is shortened to that of its file in the core alone.
  const found = listUnreadableSegments().find((entry) => entry.error.message === error.message);
  if (found === undefined) throw error;
  const path = join(loadAddon().directory, found.file);
  const stays = (why: string): SegmentError =>
    new SegmentError(error.code, `${error.message} It stays here: ${why}.`, { cause: error });
  if (error.code === 'ERR_SEGMENT_VERSION')
    throw stays(`processes of that version may use it; if there are none, type: rm '${path}'`);
  const file = lstatSync(path);
  if (!file.isFile()) throw stays(`it is no plain file; look at it, and type: rm -r '${path}'`);
  if (file.uid !== process.getuid?.()) throw stays(`it belongs to user ${file.uid}, who may remove it`);
  const users = usersOf(path, file);
  if (users.pids.length > 0) throw stays(`it is mapped by process ${users.pids.join(', ')}`);
  // A private file is in nobody else's memory, whoever's cannot be looked at.
  if (!users.complete && (file.mode & OTHERS) !== 0)
    throw stays(`other users' processes may have it mapped; if none has, type: rm '${path}'`);
  // Somebody else may have removed it meanwhile, and a new queue have its name.
  if (lstatSync(path).ino === file.ino) unlinkSync(path);
}

/** Processes that have the file mapped; `complete`: every process could be looked at. */
function usersOf(path: string, { dev, ino }: Stats): { pids: string[]; complete: boolean } {
  if (process.platform !== 'linux') return { pids: [], complete: false };
  const device = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)].map((part) =>
    part.toString(16).padStart(2, '0'),
  );
  const mapped = new RegExp(` ${device.join(':')} ${ino} | ${ino} +${dirname(path)}/`);
  let complete = true;
  const pids = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      // Not by the file's name: its maker got it before it had one.
      return mapped.test(readFileSync(`/proc/${pid}/maps`, 'utf8'));
    } catch (error) {
      // One that has ended meanwhile uses nothing.
      const { code } = error as NodeJS.ErrnoException;
      complete &&= code === 'ENOENT' || code === 'ESRCH';
      return false;
    }
  });
  return { pids, complete };
}
