/** The main module of the demo's child processes: producer, worker or collector, as the first argument says. */
import { QueueShutDownError } from '../../errors';
import type { Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { parseQueue } from '../queue-uri';
import { Aggregate } from './aggregate';
import { monotonicMs } from './messages';
import type { BatchResult, News, RecordBatch, Role, RoleConfiguration } from './messages';
import { removeQueue } from './queues';
import { readRecords, valuesOf } from './records';

const configuration = JSON.parse(process.argv[3] ?? '{}') as RoleConfiguration;

const tell = (news: News): Promise<void> =>
  new Promise((resolve, reject) =>
    process.send!(news, (error: Error | null) => (error === null ? resolve() : reject(error))),
  );

const attach = <T>(uri: string): Queue<T> => resolveDescriptor<T>(parseQueue(uri), { create: 'never' });

async function produce(): Promise<void> {
  const queue = attach<RecordBatch>(configuration.recordsQueue);
  const records = await readRecords(configuration.source.file);
  const go = new Promise<void>((resolve) => process.once('message', () => resolve()));
  await tell({ kind: 'ready' });
  await go;
  const startMs = monotonicMs();
  let batches = 0;
  for (let from = 0; from < records.length; from += configuration.batchRecords) {
    await queue.put({ number: batches++, records: records.slice(from, from + configuration.batchRecords) });
  }
  await queue.shutdown();
  await queue.close();
  await tell({ kind: 'produced', startMs, batches });
}

async function work(): Promise<void> {
  const queue = attach<RecordBatch>(configuration.recordsQueue);
  const results = attach<BatchResult>(configuration.resultsQueue);
  const { source } = configuration;
  const valueOf = valuesOf(source, await readRecords(source.file));
  await tell({ kind: 'ready' });
  let batches = 0;
  let redelivered = 0;
  try {
    for (;;) {
      const lease = await queue.lease();
      if (lease.deliveries > 1) redelivered++;
      const { number, records } = lease.item;
      const aggregate = new Aggregate();
      for (const record of records) aggregate.add(record, source.group, valueOf(record));
      await results.put({ number, groups: aggregate.toPartial() });
      if (batches === configuration.killableAfter) {
        // The worst moment: one result is out whose batch will come again, and one batch is taken whose result is not.
        await queue.lease();
        await tell({ kind: 'killable' });
        await new Promise(() => {});
      }
      await lease.ack();
      batches++;
    }
  } catch (error) {
    if (!(error instanceof QueueShutDownError)) throw error;
  }
  await Promise.all([queue.close(), results.close()]);
  await tell({ kind: 'worked', batches, redelivered });
}

async function collect(): Promise<void> {
  const results = attach<BatchResult>(configuration.resultsQueue);
  await tell({ kind: 'ready' });
  const aggregate = new Aggregate();
  const seen = new Set<number>();
  let duplicates = 0;
  let endMs = monotonicMs();
  for await (const { number, groups } of results) {
    endMs = monotonicMs();
    if (seen.has(number)) {
      duplicates++;
      continue;
    }
    seen.add(number);
    aggregate.addPartial(groups);
  }
  await results.close();
  await tell({ kind: 'collected', endMs, groups: aggregate.toPartial(), duplicates });
}

/** The parent has gone without a word: nobody will remove the queues but its children. */
function orphaned(): void {
  // A cluster that does not answer keeps nobody here.
  setTimeout(() => process.exit(1), 10_000);
  void Promise.allSettled([configuration.recordsQueue, configuration.resultsQueue].map(removeQueue)).then(() =>
    process.exit(1),
  );
}

// Ctrl-C reaches every process of the terminal; it is the parent's to answer.
process.on('SIGINT', () => {});
process.on('disconnect', orphaned);

const roles: Record<Role, () => Promise<void>> = { producer: produce, worker: work, collector: collect };

roles[process.argv[2] as Role]().then(
  () => {
    process.removeListener('disconnect', orphaned);
    process.disconnect();
  },
  async (error: Error) => {
    try {
      await tell({ kind: 'failed', message: error.message });
    } catch {
      // The parent has gone: orphaned() ends this process when it has cleaned up.
      return;
    }
    process.exit(1);
  },
);
