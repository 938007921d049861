/** A queue whose holders may die, and what became of its items. */
import { MemoryStore } from '../../lib/transports/memory/memory-store';
import type { Entry } from '../../lib/transports/memory/memory-store';
import type { Job } from '../../lib/work';

/** What they held was in a death. */
export class MortalStore extends MemoryStore<unknown> {
  isDeath = false;

  override requeue(entries: readonly Entry<unknown>[]): void {
    if (this.isDeath) for (const entry of entries) if (entry.aside !== true) entry.crashes++;
    super.requeue(entries);
  }
}

export interface Item {
  /** Handlers that got it. */
  attempts: number;
  /** Handlers that returned in time. */
  done: number;
  letters: number;
  /** A consumer died, so that it may have been in its hands, and everything about it may be so once more. */
  deaths: number;
  /** It may be gone for having failed too often. */
  mayBeDropped: boolean;
  /** The queue was shut down before there was room for it. */
  isRefused: boolean;
  /** The queue was shut down at once while it may have been in it. */
  isDiscarded: boolean;
  /** Nobody may have it before. */
  pausesUntilMs: number;
  holder: Run | undefined;
}

/** One handler that is counted as running. */
export interface Run {
  readonly items: readonly Item[];
  readonly job: Job;
  readonly begunMs: number;
}
