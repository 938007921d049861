/** Memory that several items lie in. */
import { nodeWorkers } from './lazy-node';

/** Whoever transfers one of its items to another thread sends a copy, as with Node's own pool: the others would be emptied. */
export function forbidTransfer(memory: ArrayBufferLike): void {
  nodeWorkers().markAsUntransferable(memory);
}
