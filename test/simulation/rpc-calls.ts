/** What programs ask of their queues, what they were told, and what must be true of that. */
import assert from 'node:assert/strict';
import type { Writable } from 'node:stream';
import type { Lease, Queue } from '../../lib';
import type { Random } from '../random';
import type { Server } from './simulated-server';
import type { VirtualLoop } from './virtual-clock';

/** What the client gives an answer that is late, a cancelled put, and a call that does not wait (docs/rpc.md). */
export const GRACE_MS = 250 + 1000;
const ANSWER_MS = 3000;
const GETS = ['get', 'getMany', 'leaseMany', 'next'];

/** What became of one item, as the programs were told. */
export interface Item {
  put: 'pending' | 'in' | 'out' | 'unknown';
  /** How programs had it, each time; times that one may have had it. */
  readonly had: string[];
  perhaps: number;
  /** So often it may be there once more than it was put: each says which death or cut it may be put down to. */
  again: string[];
  /** The queue may have been shut down at once while it was in it. */
  mayBeGone: boolean;
  /** What its put failed with. */
  error: string | undefined;
}

export interface Program {
  readonly port: number;
  readonly queue: Queue<number>;
  readonly leases: { readonly lease: Lease<number>; readonly item: Item }[];
  loop: AsyncIterator<number> | undefined;
  isReading: boolean;
  writer: Writable | undefined;
  isWriting: boolean;
  /** Its waiting calls keep the process. */
  isReferenced: boolean;
  /** What it had and the server may not know of, with the turn in which it came. */
  unconfirmed: { readonly item: Item; readonly turn: number }[];
  /** The same when its connection broke, and when that was. */
  kept: { readonly at: number; readonly items: Item[] } | undefined;
  /** The last that it was connected to. */
  server: Server | undefined;
}

interface Call {
  readonly what: string;
  /** Undefined: of none. */
  readonly program: Program | undefined;
  readonly latestMs: number;
  endedMs: number | undefined;
  /** The connection, for its end. */
  blames: string | undefined;
}

export class Calls {
  readonly items: Item[] = [];
  /** Those that have not fired. */
  readonly controllers: AbortController[] = [];
  readonly signals: AbortSignal[] = [];
  /** Somebody was told that the queue is shut down. */
  isShutDown = false;
  private isDiscarded = false;
  /** The number of the loop's turn. */
  turn = 0;
  private readonly all: Call[] = [];
  /** Numbers of the items of each putMany. */
  private readonly many: (readonly number[])[] = [];

  constructor(
    private readonly loop: VirtualLoop,
    private readonly random: Random,
  ) {}

  get open(): string[] {
    return this.all.filter(({ endedMs }) => endedMs === undefined).map(({ what }) => what);
  }

  /** Whether a call waits that keeps the process. */
  get isKeeping(): boolean {
    return this.all.some(({ endedMs, program }) => endedMs === undefined && program?.isReferenced === true);
  }

  /** Whether somebody waits for an item. */
  get isWaiting(): boolean {
    return this.open.some((what) => GETS.includes(what));
  }

  private options(): { timeoutMs?: number; signal?: AbortSignal } {
    const { below } = this.random;
    const timeoutMs = [undefined, undefined, 0, below(20), below(2000), 60_000][below(6)];
    if (below(3) > 0) return { timeoutMs };
    const controller = new AbortController();
    this.controllers.push(controller);
    this.signals.push(controller.signal);
    return { timeoutMs, signal: controller.signal };
  }

  track<R>(
    what: string,
    program: Program | undefined,
    timeoutMs: number | undefined,
    promise: Promise<R>,
    then: (value: R) => void,
    failed: (error: { outcome?: unknown; accepted?: number; message: string }) => void = () => {},
  ): void {
    const latestMs = this.loop.now + (timeoutMs === undefined ? Infinity : timeoutMs === 0 ? ANSWER_MS : timeoutMs);
    const call: Call = { what, program, latestMs, endedMs: undefined, blames: undefined };
    this.all.push(call);
    promise.then(
      (value) => {
        call.endedMs = this.loop.now;
        then(value);
      },
      (error: Error & { code?: string }) => {
        call.endedMs = this.loop.now;
        if (error.code === 'ERR_QUEUE_CONNECTION') call.blames = error.message;
        failed(error);
      },
    );
  }

  private item(): number {
    return (
      this.items.push({
        put: 'pending',
        had: [],
        perhaps: 0,
        again: [],
        mayBeGone: this.isDiscarded,
        error: undefined,
      }) - 1
    );
  }

  put(program: Program): void {
    const { queue } = program;
    const number = this.item();
    const item = this.items[number]!;
    const options = this.options();
    this.track(
      'put',
      program,
      options.timeoutMs,
      queue.put(number, options),
      () => (item.put = 'in'),
      (error) => this.failed(item, error, options.signal),
    );
  }

  putMany(program: Program): void {
    const { queue } = program;
    const numbers = Array.from({ length: 1 + this.random.below(6) }, () => this.item());
    this.many.push(numbers);
    const options = this.options();
    const tell = (accepted: number): void =>
      numbers.slice(0, accepted).forEach((number) => (this.items[number]!.put = 'in'));
    const items = this.random.below(3) === 0 ? this.slowly(numbers) : numbers;
    // The last batch of a slow source may be one for which no time is left: then it does not wait, but for its answer.
    const isSlow = items !== numbers && options.timeoutMs !== undefined;
    const latestMs = isSlow ? options.timeoutMs! + ANSWER_MS : options.timeoutMs;
    this.track('putMany', program, latestMs, queue.putMany(items, options), tell, (error) => {
      const { accepted = 0 } = error;
      tell(accepted);
      for (const number of numbers.slice(accepted)) this.failed(this.items[number]!, error, options.signal);
    });
  }

  private async *slowly(numbers: readonly number[]): AsyncGenerator<number> {
    for (const number of numbers) {
      await new Promise((resolve) => setTimeout(resolve, this.random.below(20)));
      yield number;
    }
  }

  /** One item after the other into a stream, until that breaks. */
  write(program: Program): void {
    if (program.isWriting) return;
    program.writer ??= program.queue.writable().on('error', () => {});
    const { writer } = program;
    const number = this.item();
    const item = this.items[number]!;
    program.isWriting = true;
    const written = new Promise<void>((resolve, reject) =>
      writer.write(number, (error) => (error ? reject(error) : resolve())),
    );
    this.track(
      'write',
      program,
      undefined,
      written,
      () => {
        program.isWriting = false;
        item.put = 'in';
      },
      (error) => {
        program.isWriting = false;
        program.writer = undefined;
        this.failed(item, error, undefined);
      },
    );
  }

  refer(program: Program): void {
    program.isReferenced = this.random.below(2) === 0;
    if (program.isReferenced) program.queue.ref();
    else program.queue.unref();
  }

  /** What became of it is known, unless the error says otherwise; a signal's reason belongs to the program and says nothing. */
  private failed(item: Item, error: { outcome?: unknown; message: string }, signal: AbortSignal | undefined): void {
    item.put = error.outcome === 'unknown' || signal?.aborted === true ? 'unknown' : 'out';
    item.error = error.message;
  }

  private tellHad(what: string, { port }: Program, item: Item): void {
    item.had.push(`${what} of ${port} at ${this.loop.now} ms`);
  }

  private has(what: string, program: Program, number: number): void {
    const item = this.items[number]!;
    this.tellHad(what, program, item);
    program.unconfirmed.push({ item, turn: this.turn });
  }

  get(program: Program): void {
    const options = this.options();
    this.track('get', program, options.timeoutMs, program.queue.get(options), (number) =>
      this.has('get', program, number),
    );
  }

  getMany(program: Program): void {
    const options = this.options();
    const call = program.queue.getMany(1 + this.random.below(5), options);
    this.track('getMany', program, options.timeoutMs, call, (numbers) =>
      numbers.forEach((one) => this.has('getMany', program, one)),
    );
  }

  lease(program: Program): void {
    const options = this.options();
    const call = program.queue.leaseMany(1 + this.random.below(3), options);
    this.track('leaseMany', program, options.timeoutMs, call, ({ leases }) => {
      for (const lease of leases) program.leases.push({ lease, item: this.items[lease.item]! });
    });
  }

  settle(program: Program): void {
    const { leases } = program;
    const [held] = leases.splice(this.random.below(leases.length || 1), 1);
    if (held === undefined) return;
    const { lease, item } = held;
    if (this.random.below(3) === 0) return this.track('release', program, 0, lease.release(), () => {});
    this.track(
      'ack',
      program,
      0,
      lease.ack(),
      () => this.tellHad('ack', program, item),
      ({ message }) => {
        if (message.includes('outcome is unknown')) item.perhaps++;
      },
    );
  }

  /** A loop takes a step, or is left. */
  read(program: Program): void {
    if (program.isReading) return;
    if (program.loop !== undefined && this.random.below(4) === 0) {
      this.track('return', program, 0, program.loop.return!(), () => {});
      program.loop = undefined;
      return;
    }
    program.loop ??= (this.random.below(3) === 0 ? program.queue.readable() : program.queue)[Symbol.asyncIterator]();
    const { loop } = program;
    program.isReading = true;
    const stepped = (): void => {
      program.isReading = false;
    };
    const step = loop.next();
    this.track(
      'next',
      program,
      undefined,
      step,
      ({ done, value }) => {
        stepped();
        if (done === true) program.loop = undefined;
        else this.has('next', program, value as number);
      },
      () => {
        stepped();
        program.loop = undefined;
      },
    );
  }

  ask(program: Program): void {
    const { queue } = program;
    const { below, pick } = this.random;
    const question = pick(['qsize', 'full', 'stats'] as const);
    if (below(2) === 0) return this.track(question, program, 0, queue[question]() as Promise<unknown>, () => {});
    const { timeoutMs, signal } = this.options();
    this.track('join', program, timeoutMs, queue.join({ timeoutMs, signal }), () => {});
  }

  /** What is in the queue stays for those who come for it, or is gone. */
  shutDown(program: Program): void {
    const { queue } = program;
    const immediate = this.random.below(3) === 0;
    if (immediate) {
      this.isDiscarded = true;
      for (const item of this.items) item.mayBeGone = true;
    }
    this.track('shutdown', program, 0, queue.shutdown({ immediate }), () => (this.isShutDown = true));
  }

  /** @param isCalm nothing broke, and the loop was on time: then no call may blame the connection */
  check(isCalm: boolean, lateMs: number): void {
    for (const { what, latestMs, endedMs, blames } of this.all) {
      if (isCalm) assert.equal(blames, undefined, `${what} blames a connection that nothing ailed`);
      const late = endedMs! - latestMs - 4 * lateMs;
      assert(late <= GRACE_MS, `${what} ends ${late} ms after its time`);
    }
    this.items.forEach(({ put, had, perhaps, again, mayBeGone, error }, number) => {
      const story = `item ${number}, put: ${put}, had: ${had.join(', ')}; perhaps ${perhaps} more; ${again.join(', ')}; ${error}`;
      assert.notEqual(put, 'pending', story);
      const got = had.length;
      if (put === 'out') assert.equal(got + perhaps, 0, `of which it was said that it is not in: ${story}`);
      if (put === 'in' && !mayBeGone) assert(got + perhaps >= 1, `lost: ${story}`);
      assert(got <= 1 + again.length, `there twice: ${story}`);
    });
    for (const numbers of this.many) this.checkOrder(numbers);
  }

  /** Items of one putMany go in up to the first that does not. */
  private checkOrder(numbers: readonly number[]): void {
    const isIn = numbers.map((number) => {
      const { had, perhaps, mayBeGone } = this.items[number]!;
      return had.length + perhaps > 0 || mayBeGone;
    });
    const end = isIn.indexOf(false);
    if (end !== -1) assert(!isIn.includes(true, end), `of ${numbers.join(', ')} went in ${isIn.join(', ')}`);
  }
}
