/** Starts the processes of a run, sees them through, and leaves neither process nor queue behind. */
import type { Actor, NewsOf } from './actor';
import { foreignActor, nodeActor } from './actor';
import { Aggregate } from './aggregate';
import type { Role, RoleConfiguration } from './messages';
import type { DemoQueues } from './queue-pair';
import type { Source } from './records';

export interface RunOptions {
  readonly queues: DemoQueues;
  readonly source: Source;
  /** In Node. */
  readonly workers: number;
  /** The command line of each worker in another language; queues and fields follow. */
  readonly foreign: readonly (readonly string[])[];
  readonly batchRecords: number;
  readonly killAWorker: boolean;
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly aggregate: Aggregate;
  readonly batches: number;
  /** From the first batch put to the last result received. */
  readonly seconds: number;
  readonly killed: number;
  /** Batches that came to a worker again because another one died with them. */
  readonly redelivered: number;
  /** Results that came twice and were dropped. */
  readonly duplicates: number;
  /** Batches that each worker saw through, killed ones left out. */
  readonly batchesByWorker: readonly number[];
  readonly batchesByTask: readonly number[];
}

/** That the worker to be killed sees through. */
export const BATCHES_BEFORE_KILL = 20;

export async function runProcesses(options: RunOptions): Promise<RunResult> {
  const { queues, source, batchRecords, signal } = options;
  const shared = { recordsQueue: queues.recordsQueue, resultsQueue: queues.resultsQueue, source, batchRecords };
  const actors: Actor[] = [];
  const start = (name: string, role: Role, more: Partial<RoleConfiguration> = {}): Actor => {
    const actor = nodeActor(name, role, { ...shared, ...more });
    actors.push(actor);
    return actor;
  };
  const startForeign = (command: readonly string[], index: number): Actor => {
    const { recordsQueue, resultsQueue } = queues;
    const told = [recordsQueue, resultsQueue, source.group, source.value ?? ''];
    const actor = foreignActor(`worker ${options.workers + index + 1}`, [...command, ...told]);
    actors.push(actor);
    return actor;
  };
  let stop!: (error: unknown) => void;
  // Whoever waits for one process must hear of the end of any other, else a full queue would hold it for ever.
  const stopped = new Promise<never>((_resolve, reject) => (stop = reject));
  // It may fire before anybody listens.
  stopped.catch(() => {});
  const unlessStopped = <T>(promise: Promise<T>): Promise<T> => Promise.race([promise, stopped]);
  if (signal.aborted) stop(signal.reason);
  signal.addEventListener('abort', () => stop(signal.reason), { once: true });
  try {
    const collector = start('collector', 'collector');
    const workers = Array.from({ length: options.workers }, (_, index) =>
      start(`worker ${index + 1}`, 'worker', {
        killableAfter: options.killAWorker && index === 0 ? BATCHES_BEFORE_KILL : undefined,
      }),
    );
    workers.push(...options.foreign.map(startForeign));
    const producer = start('producer', 'producer');
    await unlessStopped(Promise.all(actors.map((actor) => actor.says('ready'))));
    collector.says('collected').catch(stop);
    producer.says('produced').catch(stop);
    const allWorked = workedOf(workers, stop);
    const tasks = (await unlessStopped(queues.startTasks?.(source, workers.length) ?? Promise.resolve([]))) ?? [];
    const tasksWorked = Promise.all(tasks.map(({ worked }) => worked));
    tasksWorked.catch(stop);
    producer.child.send('go');
    const first = workers[0]!;
    if (options.killAWorker) {
      // With too little data for it to come that far it finishes like the others.
      await unlessStopped(Promise.race([first.says('killable').catch(() => {}), first.exited]));
      if (first.said('killable') !== undefined) first.child.kill('SIGKILL');
    }
    const { startMs, batches } = await unlessStopped(producer.says('produced'));
    const worked = await unlessStopped(allWorked);
    const batchesByTask = await unlessStopped(tasksWorked);
    const redelivered = await unlessStopped(
      queues.redelivered?.() ?? Promise.resolve(worked.reduce((sum, news) => sum + news.redelivered, 0)),
    );
    await unlessStopped(queues.finish());
    const { groups, duplicates, endMs } = await unlessStopped(collector.says('collected'));
    const aggregate = new Aggregate();
    aggregate.addPartial(groups);
    return {
      aggregate,
      batches,
      // Without a batch there is no result, and the collector's time is that of its start.
      seconds: batches === 0 ? 0 : (endMs - startMs) / 1000,
      killed: workers.length - worked.length,
      redelivered,
      duplicates,
      batchesByWorker: worked.map((news) => news.batches),
      batchesByTask,
    };
  } finally {
    for (const { child } of actors) child.kill('SIGKILL');
    await Promise.all(actors.map(({ exited }) => exited));
  }
}

/** A worker that was killed is made up for by the others; one that failed, or the last one, ends the run. */
async function workedOf(workers: readonly Actor[], stop: (error: Error) => void): Promise<NewsOf<'worked'>[]> {
  let left = workers.length;
  const outcomes = workers.map(async (worker) => {
    try {
      return await worker.says('worked');
    } catch (error) {
      if (!worker.wasKilled || --left === 0) stop(error as Error);
      return undefined;
    }
  });
  return (await Promise.all(outcomes)).filter((news) => news !== undefined);
}
