import { once } from 'node:events';
import { createReadStream, fstatSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { QueueFullError } from '../../errors';
import type { Queue } from '../../queue/types';
import { resolveDescriptor } from '../../resolve/registry';
import { EXIT_OK, EXIT_TIMEOUT, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { CREDENTIALS_HELP, credentialOptions, credentialsOf } from '../credentials';
import { frames, jsonLines, textLines } from '../io/input-items';
import type { Batch } from '../io/input-items';
import { Interrupted, interruption } from '../io/interrupt';
import { Progress } from '../io/progress';
import { naming, parseQueue } from '../queue-uri';
import { count, sentence } from '../io/table';
import { tellIfNobodyListens } from '../io/waiting';

/** A put that waits for room is looked after as often where its progress is shown. */
const LOOK_MS = 200;

export const put: Command = {
  summary: 'Puts lines of text, lines of JSON or frames of bytes into a queue',
  usage: 'put QUEUE [FILE] [options]',
  help: `Reads FILE, or standard input without one or where it is '-', makes the queue if there is none, and waits for room as needed.
Without --ndjson or --raw each line is an item: a string, without its newline.

  --ndjson             each line is JSON, and the value it holds an item; integers beyond 2^53 - 1 become BigInt
  --raw                items are bytes, cut at every --frame-bytes N; what is left at the end is a shorter item
  --frame-bytes N      length of a frame
  --shutdown           shut the queue down at the end: readers drain it and finish; one that starts when it is drained and
                       nobody is attached waits at a new queue
  --timeout-ms N       end with status 3 when there was no room for N ms
  --maxsize N          items that the queue holds (0: as many as the bytes allow)
  --capacity-bytes N   bytes of payload that a shared-memory queue reserves
                       a queue that is there already and has another of these sizes is an error (status 1)

${CREDENTIALS_HELP}

What was put before an error stays in the queue; the message says where the input went wrong.`,
  examples: [
    'seq 1000 | sage-queue put shm:numbers --maxsize 5000',
    'sage-queue put sage:events events.ndjson --ndjson --shutdown',
    'sage-queue put shm:audio --raw --frame-bytes 4096 < audio.pcm',
  ],
  options: {
    ndjson: { type: 'boolean' },
    raw: { type: 'boolean' },
    'frame-bytes': { type: 'string' },
    shutdown: { type: 'boolean' },
    'timeout-ms': { type: 'string' },
    maxsize: { type: 'string' },
    'capacity-bytes': { type: 'string' },
    ...credentialOptions,
  },
  operands: [1, 2],
  run,
};

function reader(args: Arguments): (input: Readable) => AsyncGenerator<Batch> {
  const frameBytes = args.integer('frame-bytes', 1);
  if (args.flag('raw') !== (frameBytes !== undefined)) throw new UsageError('--raw and --frame-bytes N go together.');
  if (frameBytes === undefined) return args.flag('ndjson') ? jsonLines : textLines;
  if (args.flag('ndjson')) throw new UsageError('--ndjson and --raw exclude each other.');
  return (input) => frames(input, frameBytes);
}

async function run(args: Arguments): Promise<number> {
  const [name, file] = args.operands as [string, string?];
  const read = reader(args);
  const timeoutMs = args.integer('timeout-ms');
  const descriptor = parseQueue(name, {
    maxsize: args.integer('maxsize'),
    capacityBytes: args.integer('capacity-bytes', 1),
  });
  const credentials = credentialsOf(args, descriptor);
  const signal = interruption();
  // Before the queue is made: a file that is not there makes none.
  const input = await opened(file === '-' ? undefined : file);
  const queue = await attach(name, () => resolveDescriptor(descriptor, { credentials }));
  if (timeoutMs === undefined) tellIfNobodyListens(descriptor);
  // Where stdin is the terminal itself, somebody types there.
  const shown = process.stderr.isTTY === true && !(input === process.stdin && process.stdin.isTTY === true);
  const progress = new Progress('put', () => queue.qsize(), shown);
  // So that the items of a batch which waits for room count as they go in. A server that does not answer is no full queue.
  const lookMs = shown && descriptor.queueType !== 'rpc' ? LOOK_MS : Infinity;
  const putting = new Putting(queue, timeoutMs, lookMs, signal, progress);
  try {
    // A read that waits for more input ends with the signal too.
    const onAbort = (): void => void input.destroy();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const batch of read(input)) await putting.batch(batch);
    } catch (error) {
      if (error === input.errored)
        throw new Error(
          `${file ?? 'Standard input'} cannot be read to its end: ${sentence((error as Error).message)} ${count(putting.done)} items were put.`,
        );
      if (!signal.aborted) throw error;
    }
    if (signal.aborted) throw signal.reason;
    if (args.flag('shutdown')) await queue.shutdown();
    return EXIT_OK;
  } catch (error) {
    progress.stop();
    if (error instanceof Interrupted)
      throw new Interrupted(error.status, `interrupted; ${count(putting.done)} items were put.`);
    if (error instanceof TimedOut) {
      process.stderr.write(
        `sage-queue: ${name} had no room for ${timeoutMs} ms; ${count(putting.done)} items were put.\n`,
      );
      return EXIT_TIMEOUT;
    }
    throw naming(name, error);
  } finally {
    progress.stop();
    input.destroy();
    await queue.close();
  }
}

/** The file, or standard input. @throws Error that names it where it cannot be read. */
async function opened(file: string | undefined): Promise<Readable> {
  const name = file ?? 'Standard input';
  try {
    const stat = file === undefined ? fstatSync(0) : statSync(file);
    if (stat.isDirectory()) throw new Error('it is a directory');
    if (file === undefined) return process.stdin;
    const input = createReadStream(file);
    await once(input, 'open');
    return input;
  } catch (error) {
    throw new Error(`${name} cannot be read: ${(error as Error).message}.`);
  }
}

async function attach(name: string, resolve: () => Queue): Promise<Queue> {
  try {
    return resolve();
  } catch (error) {
    throw naming(name, error);
  }
}

class TimedOut extends Error {}

class Putting {
  /** Items that are in the queue. */
  done = 0;
  private lastAt = performance.now();

  constructor(
    private readonly queue: Queue,
    private readonly timeoutMs = Infinity,
    private readonly lookMs: number,
    private readonly signal: AbortSignal,
    private readonly progress: Progress,
  ) {}

  async batch(batch: Batch): Promise<void> {
    // A timeout bounds the wait for room, not the way of a long batch: it starts anew whenever something went in.
    this.lastAt = performance.now();
    for (let from = 0; from < batch.items.length;) from += await this.some(batch, from);
    if (batch.failure !== undefined) {
      throw new Error(`${batch.failure.message}; the ${count(this.done)} items before it were put.`);
    }
  }

  private async some(batch: Batch, from: number): Promise<number> {
    const items = from === 0 ? batch.items : batch.items.slice(from);
    const leftMs = Math.max(0, this.timeoutMs - (performance.now() - this.lastAt));
    const timeoutMs = Math.min(leftMs, this.lookMs);
    try {
      return this.record(await this.queue.putMany(items, { timeoutMs, signal: this.signal }));
    } catch (error) {
      const accepted = this.record((error as { accepted?: number }).accepted ?? 0);
      if (error === this.signal.reason && this.signal.aborted) throw error;
      if (error instanceof QueueFullError) {
        if (accepted > 0 || timeoutMs < leftMs) return accepted;
        throw new TimedOut();
      }
      (error as Error).message =
        `${batch.where(from + accepted)}: ${sentence((error as Error).message)} The ${count(this.done)} items before it were put.`;
      throw error;
    }
  }

  private record(items: number): number {
    this.done += items;
    if (items > 0) this.lastAt = performance.now();
    this.progress.add(items);
    return items;
  }
}
