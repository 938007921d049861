/** A queue whose holders may die. */
import { MemoryStore } from '../../lib/transports/memory/memory-store';
import type { Entry } from '../../lib/transports/memory/memory-store';

/** What they held was in a death. */
export class MortalStore extends MemoryStore<unknown> {
  isDeath = false;

  override requeue(entries: readonly Entry<unknown>[]): void {
    if (this.isDeath) for (const entry of entries) if (entry.aside !== true) entry.crashes++;
    super.requeue(entries);
  }
}
