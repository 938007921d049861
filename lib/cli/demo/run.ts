/** Starts the processes of a run, sees them through, and leaves neither process nor queue behind. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Aggregate } from './aggregate';
import type { News, Role, RoleConfiguration } from './messages';
import type { DemoQueues } from './queues';
import type { Source } from './records';

export interface RunOptions {
  readonly queues: DemoQueues;
  readonly source: Source;
  readonly workers: number;
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
  /** Batches that each worker saw through, the killed one left out. */
  readonly batchesByWorker: readonly number[];
}

const BATCHES_BEFORE_KILL = 20;

type NewsOf<Kind extends News['kind']> = Extract<News, { kind: Kind }>;

/** A child process and what it says. */
class Actor {
  readonly child: ChildProcess;
  /** Status or signal. */
  readonly exited: Promise<void>;
  private readonly heard: News[] = [];
  private readonly listeners = new Set<() => void>();
  private gone = false;

  constructor(
    readonly name: string,
    role: Role,
    configuration: RoleConfiguration,
  ) {
    this.child = fork(join(__dirname, 'role.js'), [role, JSON.stringify(configuration)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child.on('message', (news: News) => this.hear(() => this.heard.push(news)));
    this.child.on('error', () => {});
    // 'close' comes after the last message, 'exit' may not.
    this.exited = once(this.child, 'close').then(
      () => this.hear(() => (this.gone = true)),
      () => this.hear(() => (this.gone = true)),
    );
  }

  private hear(change: () => void): void {
    change();
    for (const listener of [...this.listeners]) listener();
  }

  said<Kind extends News['kind']>(kind: Kind): NewsOf<Kind> | undefined {
    return this.heard.find((news): news is NewsOf<Kind> => news.kind === kind);
  }

  /** @throws Error when the process ends without having said it. */
  says<Kind extends News['kind']>(kind: Kind): Promise<NewsOf<Kind>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const news = this.said(kind);
        if (news === undefined && !this.gone) return;
        this.listeners.delete(look);
        if (news !== undefined) resolve(news);
        else reject(new Error(`The ${this.name} ended early: ${this.said('failed')?.message ?? this.ending()}.`));
      };
      this.listeners.add(look);
      look();
    });
  }

  private ending(): string {
    const { signalCode, exitCode } = this.child;
    return signalCode === null ? `status ${exitCode}` : `killed by ${signalCode}`;
  }
}

export async function runProcesses(options: RunOptions): Promise<RunResult> {
  const { queues, source, batchRecords, signal } = options;
  const shared = { recordsQueue: queues.recordsQueue, resultsQueue: queues.resultsQueue, source, batchRecords };
  const actors: Actor[] = [];
  const start = (name: string, role: Role, more: Partial<RoleConfiguration> = {}): Actor => {
    const actor = new Actor(name, role, { ...shared, ...more });
    actors.push(actor);
    return actor;
  };
  const interrupted = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  // It may fire before anybody listens.
  interrupted.catch(() => {});
  const unlessInterrupted = <T>(promise: Promise<T>): Promise<T> => Promise.race([promise, interrupted]);
  try {
    const collector = start('collector', 'collector');
    const workers = Array.from({ length: options.workers }, (_, index) =>
      start(`worker ${index + 1}`, 'worker', {
        killableAfter: options.killAWorker && index === 0 ? BATCHES_BEFORE_KILL : undefined,
      }),
    );
    const producer = start('producer', 'producer');
    await unlessInterrupted(Promise.all(actors.map((actor) => actor.says('ready'))));
    producer.child.send('go');
    const first = workers[0]!;
    let killed = 0;
    if (options.killAWorker) {
      // With too little data for it to come that far it finishes like the others.
      await unlessInterrupted(Promise.race([first.says('killable').catch(() => {}), first.exited]));
      if (first.said('killable') !== undefined) {
        first.child.kill('SIGKILL');
        await first.exited;
        killed = 1;
      }
    }
    const { startMs, batches } = await unlessInterrupted(producer.says('produced'));
    const survivors = workers.slice(killed);
    const worked = await unlessInterrupted(allWorked(survivors));
    await queues.finish();
    const { groups, duplicates, endMs } = await unlessInterrupted(collector.says('collected'));
    const aggregate = new Aggregate();
    aggregate.addPartial(groups);
    return {
      aggregate,
      batches,
      seconds: (endMs - startMs) / 1000,
      killed,
      redelivered: worked.reduce((sum, { redelivered }) => sum + redelivered, 0),
      duplicates,
      batchesByWorker: worked.map((news) => news.batches),
    };
  } finally {
    for (const { child } of actors) child.kill('SIGKILL');
    await Promise.all(actors.map(({ exited }) => exited));
  }
}

/** A worker that died is made up for by the others; only when none is left does the run fail. */
async function allWorked(workers: readonly Actor[]): Promise<NewsOf<'worked'>[]> {
  const outcomes = await Promise.allSettled(workers.map((worker) => worker.says('worked')));
  const worked = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (worked.length === 0 && failed !== undefined) throw failed.reason;
  return worked;
}
