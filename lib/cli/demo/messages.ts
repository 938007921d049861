/** What the processes of the demo say to each other: items in the queues, and news to the parent. */
import type { PartialGroup } from './aggregate';
import type { DataRecord, Source } from './records';

/** An item of the records queue. Its number lets the collector tell a batch that comes a second time. */
export interface RecordBatch {
  readonly number: number;
  readonly records: readonly DataRecord[];
}

/** An item of the results queue. */
export interface BatchResult {
  readonly number: number;
  readonly groups: readonly PartialGroup[];
}

/** What a child process is started with. Queues are named by URI: nothing but the name leads to them. */
export interface RoleConfiguration {
  readonly recordsQueue: string;
  readonly resultsQueue: string;
  readonly source: Source;
  readonly batchRecords: number;
  /** A worker that is to be killed says `killable` after so many batches, with one acknowledged too late and one unread in its hands. */
  readonly killableAfter?: number;
}

export type Role = 'producer' | 'worker' | 'collector';

/** Times are of the host's monotonic clock, in ms, the same for all processes. */
export type News =
  | { readonly kind: 'ready' }
  | { readonly kind: 'produced'; readonly startMs: number; readonly batches: number }
  | { readonly kind: 'worked'; readonly batches: number; readonly redelivered: number }
  | { readonly kind: 'killable' }
  | {
      readonly kind: 'collected';
      readonly endMs: number;
      readonly groups: readonly PartialGroup[];
      readonly duplicates: number;
    }
  | { readonly kind: 'failed'; readonly message: string };

/** The parent's only word: everybody is there. */
export type Order = 'go';

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
