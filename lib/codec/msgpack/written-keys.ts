/** Keys that came before, as MessagePack writes them: the same few come in every item. */

/** In words of which the last is filled up with zeros. */
export interface WrittenKey {
  readonly key: string;
  readonly bytes: number;
  readonly words: readonly number[];
}

const KEPT_KEYS = 1024;
/** Longer ones, in bytes, are not kept. */
export const LONGEST_KEPT = 24;
const writtenKeys = new Map<string, WrittenKey>();
/** Those of the last objects, by how many keys these had and which key it was. */
const lastKeys: (WrittenKey | undefined)[] = new Array<WrittenKey | undefined>(256).fill(undefined);

/** @param slot of 256, where the key is likely to be the last one's */
export function findKey(key: string, slot: number): WrittenKey | undefined {
  const last = lastKeys[slot];
  if (last !== undefined && last.key === key) return last;
  const written = writtenKeys.get(key);
  if (written !== undefined) lastKeys[slot] = written;
  return written;
}

/** @param bytes LONGEST_KEPT at most; copied */
export function keepKey(key: string, bytes: Uint8Array): void {
  if (writtenKeys.size === KEPT_KEYS) return;
  const padded = Buffer.alloc((bytes.length + 3) & ~3);
  padded.set(bytes);
  const words: number[] = [];
  for (let at = 0; at < padded.length; at += 4) words.push(padded.readUInt32BE(at));
  writtenKeys.set(key, { key, bytes: bytes.length, words });
}
