/** Memory that items are copied into, on their way out. */
import { loadAddon } from './addon';

/**
 * The collector gives back as much as this at once. What malloc then returns to the system comes anew, page by page, under the next items, which costs
 * several times the copy.
 */
const COLLECTED_BYTES = 32 * 1024 * 1024;
/** Who gets less leaves malloc as it is. */
let untilCollected = COLLECTED_BYTES;

/** Memory of its own for an item, or for several. It holds what was in it before. */
export function itemMemory(bytes: number): Buffer<ArrayBuffer> {
  const before = untilCollected;
  untilCollected -= bytes;
  if (before > 0 && untilCollected <= 0) loadAddon().keepFreedMemory();
  return Buffer.allocUnsafeSlow(bytes);
}
