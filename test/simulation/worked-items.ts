/** What became of the items that consumers work at, and what must be true of that. */
import assert from 'node:assert/strict';
import type { StubQueue } from '../../lib/testing';
import type { Consumer, Job } from '../../lib/work';
import type { ForgetfulQueue } from './forgetful-queue';

/** What becomes of one that failed as often as it may. */
export type FailedOften = 'for ever' | 'letters' | 'drop';

export interface Item {
  /** Handlers that got it. */
  attempts: number;
  /** Handlers that returned in time. */
  done: number;
  letters: number;
  /** A consumer died, so that it may have been in its hands, and everything about it may be so once more. */
  deaths: number;
  /** Of those, how many came while a handler had it. */
  mayBeBlamed: number;
  /** The handle of a consumer that may have had it was closed, which its queue counts as a delivery. */
  closes: number;
  /** It may be gone for having failed too often. */
  mayBeDropped: boolean;
  /** Attempts that its queue did not take note of. */
  forgotten: number;
  /** There was no room for it in time, or the queue was shut down before. */
  isRefused: boolean;
  /** The queue was shut down at once while it may have been in it. */
  isDiscarded: boolean;
  /** Nobody may have it before. */
  pausesUntilMs: number;
  /** Its letter could not be put, and is not tried again before. */
  unburiedUntilMs: number;
  holder: Run | undefined;
}

export const freshItem = (): Item => ({
  attempts: 0,
  done: 0,
  letters: 0,
  deaths: 0,
  mayBeBlamed: 0,
  closes: 0,
  mayBeDropped: false,
  forgotten: 0,
  isRefused: false,
  isDiscarded: false,
  pausesUntilMs: 0,
  unburiedUntilMs: 0,
  holder: undefined,
});

/** One handler that is counted as running. */
export interface Run {
  readonly items: readonly Item[];
  readonly job: Job;
  readonly begunMs: number;
}

export interface Worker {
  readonly consumer: Consumer;
  readonly queue: StubQueue | ForgetfulQueue;
  readonly concurrency: number;
  readonly timeoutMs: number | undefined;
  readonly controller: AbortController;
  readonly runs: Set<Run>;
  /** No handler may start any more. */
  isStopped: boolean;
  /** Its handle was closed under it. */
  isClosed: boolean;
  isDead: boolean;
  isOver: boolean;
}

/** Of one that a handler gets. */
export function checkDelivery(item: Item, { deliveries, crashes }: Job, nowMs: number): void {
  const { attempts, forgotten, deaths, closes, mayBeBlamed, pausesUntilMs } = item;
  const story = `delivery ${deliveries} after ${attempts} attempts, ${deaths} deaths, ${closes} closes`;
  assert(deliveries > attempts - forgotten, story);
  assert(deliveries <= 1 + attempts + deaths + closes, story);
  assert(crashes <= mayBeBlamed, `${crashes} deaths of which ${mayBeBlamed} may be its work`);
  assert(nowMs >= pausesUntilMs, `an item comes again ${pausesUntilMs - nowMs} ms before its pause is over`);
}

/** Once everything is over. */
export function checkItems(items: readonly Item[], mode: FailedOften): void {
  items.forEach(({ attempts, done, letters, deaths, mayBeDropped, isRefused, isDiscarded }, number) => {
    const story = `item ${number}: ${attempts} attempts, ${done} done, ${letters} letters, ${deaths} deaths`;
    const ends = done + letters;
    if (isRefused) assert.equal(ends + attempts, 0, `refused ${story}`);
    else if (isDiscarded) assert(ends <= 1 + deaths, story);
    else if (mode === 'drop' && (mayBeDropped || deaths > 0)) assert(ends <= 1 + deaths, story);
    else assert(ends >= 1 && ends <= 1 + deaths, story);
    if (mode !== 'letters') assert.equal(letters, 0, story);
  });
}
