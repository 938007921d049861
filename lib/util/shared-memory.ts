/** Memory that several items lie in. */
import { nodeWorkers } from './lazy-node';

/**
 * Whoever transfers one of its items to another thread is refused, or on Node 20 sends a copy, as with Node's own pool: the others would be
 * emptied, as they are in a runtime that has no such mark (Bun).
 */
export function forbidTransfer(memory: ArrayBufferLike): void {
  try {
    nodeWorkers().markAsUntransferable(memory);
  } catch {
    // Not implemented.
  }
}
