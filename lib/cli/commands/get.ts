import { setTimeout as delay } from 'node:timers/promises';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { QueueEmptyError, QueueNotFoundError, QueueShutDownError } from '../../errors';
import type { LeaseBatch, Queue, ResolveOptions } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_CLOSED_PIPE, EXIT_OK, EXIT_TIMEOUT, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { Interrupted, interruption } from '../io/interrupt';
import { itemBytes } from '../io/item-text';
import type { ItemFormat } from '../io/item-text';
import { leaseItems, readBatch, readItem } from '../io/leased-items';
import { Progress } from '../io/progress';
import { naming, parseQueue } from '../queue-uri';
import { ClosedPipeError, StandardOutput, UnwrittenError } from '../io/standard-output';
import { count, sentence } from '../io/table';
import { tellIfNobodyListens } from '../io/waiting';

/** A queue that is not there yet is looked for as often. */
const LOOK_AGAIN_MS = 20;
/** Items on lease at a time. */
const MOST_LEASES = 64;

export const get: Command = {
  summary: 'Takes items out of a queue and writes them to stdout',
  usage: 'get QUEUE [options]',
  help: `Takes what is there and stops when the queue is empty. Text is written as a line, bytes as they are, everything else as a line of JSON.
An item counts as taken once it is written; what could not be written goes back to the front of the queue. One that cannot be
decoded here stays in front, with status 1: mv moves it elsewhere as it is.

  --follow             wait for more, until the queue is shut down and drained (status 0) or Ctrl-C (130); one that was
                       drained before this started is gone, and a new one is waited for
  --count N            wait for N items, and stop after them
  --timeout-ms N       wait at most N ms for each item; status 3 when that was too short
                       with --follow or --timeout-ms a queue that is not there yet is waited for too
  --ndjson             write every item as a line of JSON, text and bytes (as base64) too
  --raw                write text without a newline too
  --create             make the queue if there is none, instead of failing; with --maxsize N and --capacity-bytes N if wished
                       a queue that is there already and has another of these sizes is an error (status 1)

${CREDENTIALS_HELP}

Into a pipe, what the pipe has taken counts as written: take a number of items with --count rather than '| head'.`,
  examples: [
    'sage-queue get shm:numbers --count 10',
    'sage-queue get sage:events --ndjson --follow > events.ndjson',
    'sage-queue get shm:audio > audio.pcm',
  ],
  options: {
    follow: { type: 'boolean', short: 'f' },
    count: { type: 'string', short: 'n' },
    'timeout-ms': { type: 'string' },
    ndjson: { type: 'boolean' },
    raw: { type: 'boolean' },
    create: { type: 'boolean' },
    maxsize: { type: 'string' },
    'capacity-bytes': { type: 'string' },
    ...credentialOptions,
  },
  operands: [1, 1],
  run,
};

function formatOf(args: Arguments): ItemFormat {
  if (args.flag('ndjson') && args.flag('raw')) throw new UsageError('--ndjson and --raw exclude each other.');
  if (args.flag('ndjson')) return 'json';
  return args.flag('raw') ? 'raw' : 'lines';
}

async function run(args: Arguments): Promise<number> {
  const [name] = args.operands as [string];
  const format = formatOf(args);
  const limit = args.integer('count') ?? Infinity;
  const timeoutMs = args.integer('timeout-ms');
  const waits = args.flag('follow') || limit !== Infinity || timeoutMs !== undefined;
  for (const option of ['maxsize', 'capacity-bytes']) {
    if (args.text(option) !== undefined && !args.flag('create'))
      throw new UsageError(`--${option} is for a queue that get makes: give --create too.`);
  }
  const descriptor = parseQueue(name, {
    maxsize: args.integer('maxsize'),
    capacityBytes: args.integer('capacity-bytes', 1),
  });
  const options: ResolveOptions = {
    create: args.flag('create') ? 'if-missing' : 'never',
    credentials: credentialsOf(args, descriptor),
  };
  const signal = interruption();
  const attachWithinMs = timeoutMs ?? (args.flag('follow') ? Infinity : 0);
  const queue = await attach(name, descriptor, options, attachWithinMs, signal);
  if (queue === undefined) {
    process.stderr.write(`sage-queue: there was no queue ${name} within ${timeoutMs} ms.\n`);
    return EXIT_TIMEOUT;
  }
  if (waits && timeoutMs === undefined) tellIfNobodyListens(descriptor);
  // Where stdout is the terminal itself, the items are the progress.
  const progress = new Progress(
    'got',
    () => queue.qsize(),
    process.stderr.isTTY === true && process.stdout.isTTY !== true,
  );
  const taking = new Taking(queue, format, signal, progress);
  try {
    while (taking.done < limit) {
      const outcome = await taking.some(limit - taking.done, waits ? timeoutMs : 0);
      if (outcome === 'shut down') break;
      if (outcome === 'nothing') {
        if (!waits) break;
        progress.stop();
        process.stderr.write(
          `sage-queue: ${name} brought no item within ${timeoutMs} ms; ${count(taking.done)} items were taken.\n`,
        );
        return EXIT_TIMEOUT;
      }
    }
    return EXIT_OK;
  } catch (error) {
    progress.stop();
    const told = `${count(taking.done)} items were written, the rest stays in ${name}.`;
    if (error instanceof ClosedPipeError) {
      process.stderr.write(`sage-queue: the reader of the output has gone; ${told}\n`);
      return EXIT_CLOSED_PIPE;
    }
    if (error instanceof Interrupted) throw new Interrupted(error.status, `interrupted; ${told}`);
    if (error instanceof UnwrittenError) throw new Error(`${sentence(error.message)} ${told}`);
    throw naming(name, error, told);
  } finally {
    progress.stop();
    await queue.close();
  }
}

/** Waits for somebody to make the queue, if told to. Undefined: nobody did in time. */
async function attach(
  name: string,
  descriptor: QueueDescriptor,
  options: ResolveOptions,
  attachWithinMs: number,
  signal: AbortSignal,
): Promise<Queue | undefined> {
  const deadline = performance.now() + attachWithinMs;
  for (let told = false; ; told = true) {
    try {
      return resolveDescriptor(descriptor, options);
    } catch (error) {
      if (!(error instanceof QueueNotFoundError) || attachWithinMs === 0) throw naming(name, error);
    }
    if (performance.now() >= deadline) return undefined;
    if (!told && attachWithinMs === Infinity)
      process.stderr.write(`sage-queue: there is no queue ${name} yet; waiting for it.\n`);
    await delay(Math.min(LOOK_AGAIN_MS, Math.max(1, deadline - performance.now())), undefined, { signal }).catch(() => {
      throw signal.reason;
    });
  }
}

class Taking {
  /** Items written. */
  done = 0;
  private readonly output = new StandardOutput();

  constructor(
    private readonly queue: Queue,
    private readonly format: ItemFormat,
    private readonly signal: AbortSignal,
    private readonly progress: Progress,
  ) {}

  /** Waits for one item, adds those that are there, writes them, and only then lets the queue forget them. */
  async some(most: number, timeoutMs: number | undefined): Promise<'written' | 'nothing' | 'shut down'> {
    const batches: LeaseBatch<unknown>[] = [];
    try {
      const pieces: Uint8Array[] = [];
      let failure: { error: unknown } | undefined;
      const take = async (max: number, wait: number | undefined): Promise<void> => {
        const batch = await leaseItems(this.queue, max, { timeoutMs: wait, signal: this.signal });
        batches.push(batch);
        const read = await readBatch(batch, (item) => itemBytes(readItem(item), this.format));
        pieces.push(...read.found);
        failure = read.failure;
      };
      try {
        await take(1, timeoutMs);
        if (failure !== undefined) throw failure.error;
        // As many as fit into the write if they are as long as the first.
        const fitting = Math.floor(this.output.chunkBytes / Math.max(1, pieces[0]!.length));
        const more = this.output.careful ? 0 : Math.min(most, MOST_LEASES, fitting) - 1;
        if (more > 0) await take(more, 0);
      } catch (error) {
        if (batches.length === 0 && error instanceof QueueEmptyError) return 'nothing';
        if (batches.length === 0 && error instanceof QueueShutDownError) return 'shut down';
        if (batches.length === 0 || !isEnd(error)) throw error;
      }
      const leases = batches.flatMap((batch) => [...batch.leases]);
      let from = 0;
      for (const write of this.output.cut(pieces)) {
        await this.output.write(write, this.signal);
        const to = from + write.length;
        if (write.length === pieces.length) for (const batch of batches) await batch.ack();
        else for (const lease of leases.slice(from, to)) await lease.ack();
        from = to;
        this.done += write.length;
        this.progress.add(write.length);
      }
      // It is the first now.
      if (failure !== undefined) throw failure.error;
      return 'written';
    } finally {
      for (const batch of batches) await batch.release();
    }
  }
}

const isEnd = (error: unknown): boolean => error instanceof QueueEmptyError || error instanceof QueueShutDownError;
