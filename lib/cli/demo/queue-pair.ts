/** What a run needs to know of its two queues, whatever their type. */
import type { Queue } from '../../queue/types';
import type { Source } from './records';

export interface DemoQueues {
  /** URIs: all that the other processes are told. */
  readonly recordsQueue: string;
  readonly resultsQueue: string;
  depth(): Promise<{ taken: number; waiting: number }>;
  /** Nothing more will be put into the results. */
  finish(): Promise<void>;
  /** How often items came again, where the queue counts it for workers that cannot. */
  redelivered?(): Promise<number>;
  /** Starts the workers that are no child processes, and resolves when they and the `others` wait for work. */
  startTasks?(source: Source, others: number): Promise<DemoTask[]>;
  remove(): Promise<void>;
}

/** A worker that somebody else runs. */
export interface DemoTask {
  /** The batches it saw through. */
  readonly worked: Promise<number>;
}

export interface QueueOptions {
  /** Of the Ray cluster. */
  readonly address?: string;
  /** Workers that are Ray tasks. */
  readonly rayTasks: number;
}

export const handlesOf = (records: Queue, results: Queue): Pick<DemoQueues, 'depth' | 'finish'> => ({
  depth: async () => {
    const { getTotal, qsize } = await records.stats();
    return { taken: getTotal, waiting: qsize };
  },
  finish: () => results.shutdown(),
});
