/** Random sequences of everything a handle can do, against one plain reference; a sequence that fails is made as short as it can be. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as fc from 'fast-check';
import type { Lease, NativeQueue, Queue } from '../../lib';
import { chooseSeed } from '../random';
import { operation } from './operations';
import type { Operation } from './operations';
import { ANSWER_MS, inForm, leasesOf, PendingCalls, turn, valuesOf } from './pending-calls';
import type { Call } from './pending-calls';
import { ReferenceQueue } from './reference-queue';
import type { Ending, OpenLease } from './reference-queue';
import type { MadeQueue, QueueType } from './types';

/** How long the sequences of one type run. */
const runMs = ({ remote, runMs }: QueueType): number =>
  Number(process.env.MODEL_MS ?? runMs ?? (remote ? 15_000 : 8000));
/** Two busy cores make some hundreds, of a type on a server some dozens. */
const FEWEST_RUNS = 3;

class Run {
  private readonly queue: ReferenceQueue;
  private readonly made: MadeQueue;
  private readonly handles: Queue<number>[];
  private readonly pending = new PendingCalls();
  /** Every lease that there was, those that have ended too. */
  private readonly leases: { lease: Lease<number>; held: OpenLease; lost: boolean; ended: boolean }[] = [];
  private nextItem = 0;

  constructor(
    maxsize: number,
    private readonly type: QueueType,
  ) {
    this.queue = new ReferenceQueue(maxsize);
    this.made = type.make(maxsize);
    this.handles = !type.shared ? [this.made.open()] : [this.made.open(), this.made.open()];
  }

  async end(): Promise<void> {
    for (const call of this.pending.all) call.controller.abort();
    for (const one of this.handles) await one.close();
    await this.made.end();
  }

  private start(what: string, of: number, work: (queue: Queue<number>, signal: AbortSignal) => Promise<unknown>): Call {
    return this.pending.start(what, of, this.handles[of]!, work);
  }

  /** Takes over what a call brought, which must be what comes next. @returns how many items */
  private brought(call: Call, value: unknown, next: readonly { value: number }[], max: number): number {
    const expected = next.slice(0, max).map((place) => place.value);
    const values = valuesOf(value);
    const [least] = [Math.min(1, expected.length)];
    assert.ok(values.length >= least && values.length <= max, `${call.what} brought ${values.length} items`);
    assert.deepEqual(values, expected.slice(0, values.length), `${call.what}: items`);
    return values.length;
  }

  /** The first who waits for items has been given some. */
  private given(call: Call, value: unknown, { next, max, lease }: Extract<Ending, { next: unknown }>): void {
    // What waits to be put goes in as room comes free, and may be among the items.
    const coming = this.queue.producers
      .flatMap((one) => one.items.slice(one.accepted))
      .map((item) => ({ value: item }));
    const count = this.brought(call, value, [...next, ...coming], max);
    this.queue.fillTo(count);
    assert.ok(count <= next.length, `${call.what} brought ${count} of ${next.length} items`);
    const held = this.queue.took(count);
    if (lease) this.keepLeases(value, held, call.what);
  }

  private keepLeases(value: unknown, held: readonly OpenLease[], what: string): void {
    const leases = leasesOf(value);
    for (const [index, lease] of leases.entries()) {
      assert.equal(lease.deliveries, held[index]!.place.deliveries, `${what}: deliveries of ${lease.item}`);
      this.leases.push({ lease, held: held[index]!, lost: false, ended: false });
    }
  }

  /** Everything that the reference says is over now is over, in that order, and nothing else. */
  private async settle(): Promise<void> {
    for (let ending = this.queue.next(); ending !== undefined; ending = this.queue.next()) {
      const call = this.pending.byId(ending.id);
      if ('code' in ending) {
        await this.pending.fails(call, ending.code, ending.accepted);
        continue;
      }
      const outcome = await this.pending.outcomeOf(call);
      if ('error' in outcome) assert.fail(`${call.what} should have succeeded: ${String(outcome.error)}`);
      if ('accepted' in ending) {
        if (call.what.startsWith('putMany')) assert.equal(outcome.value, ending.accepted, `${call.what}: accepted`);
        continue;
      }
      this.given(call, outcome.value, ending);
    }
    await turn();
    await turn();
    await this.arrive();
    this.pending.noneHasEnded();
  }

  /** What was called has reached the queue, and done there what it does at once: those who wait are in line. */
  private async arrive(): Promise<void> {
    const deadline = performance.now() + ANSWER_MS;
    let qsize = NaN;
    while (qsize !== this.queue.items.length && performance.now() < deadline)
      for (const handle of this.handles) qsize = await handle.qsize();
    assert.equal(qsize, this.queue.items.length, 'qsize, in the end');
  }

  async step(operation: Operation): Promise<void> {
    // A call waits on the first handle only: which of several handles is served first is not promised.
    const of = 'handle' in operation ? Math.min(operation.handle, this.handles.length - 1) : 0;
    await this.perform(operation, 'wait' in operation && operation.wait ? 0 : of);
    await this.settle();
  }

  private async perform(operation: Operation, of: number): Promise<void> {
    switch (operation.do) {
      case 'put':
      case 'putMany':
        return this.put(operation, of);
      case 'get':
      case 'getMany':
      case 'lease':
      case 'leaseMany':
      case 'iterate':
        return this.take(operation, of);
      case 'ack':
      case 'release':
        return this.endLease(operation.which, operation.do === 'ack');
      case 'abort':
        return this.abort(operation.which);
      case 'late':
        return this.late(operation.call, of);
      case 'close':
        return this.close(of, () => this.made.open());
      case 'clone':
        return this.close(of, ({ descriptor }) => {
          const again = this.made.open(descriptor.clone());
          assert.ok(again.descriptor.equals(descriptor), `${again.descriptor} is a clone of ${descriptor}`);
          return again;
        });
      case 'look':
        return this.look(of);
      case 'readable':
        return this.readable(of);
      case 'writable':
        return this.writable(of);
      case 'peek': {
        const { peekSync } = this.handles[of] as Partial<NativeQueue<number>>;
        if (peekSync === undefined) return;
        assert.deepEqual(peekSync.call(this.handles[of])?.item, this.queue.items[0]?.value, 'peekSync');
        return;
      }
      case 'shutdown':
        await this.handles[of]!.shutdown({ immediate: operation.immediate });
        this.queue.shutdown(operation.immediate);
    }
  }

  private async put(operation: Extract<Operation, { do: 'put' | 'putMany' }>, of: number): Promise<void> {
    const many = operation.do === 'putMany';
    const items = Array.from({ length: many ? operation.count : 1 }, () => this.nextItem++);
    const block = operation.wait;
    const what = `${operation.do}(${items.join()})${block ? '' : ' without waiting'} on handle ${of}`;
    const call = this.start(what, of, (queue, signal) => {
      const options = block ? { signal } : { block };
      return many ? queue.putMany(inForm(items, operation.form), options) : queue.put(items[0]!, options);
    });
    if (block) return this.queue.put({ id: call.id, handle: of, items, accepted: 0, many });
    const outcome = await this.pending.outcomeOf(call);
    const { code, accepted = 0 } = ('error' in outcome ? outcome.error : {}) as { code?: string; accepted?: number };
    if (this.queue.mode !== 'open') return assert.equal(code, 'ERR_QUEUE_SHUT_DOWN', what);
    // It may find the queue full at a moment when those who wait for items have not taken theirs.
    const count = 'error' in outcome ? accepted : items.length;
    assert.equal(code, count < items.length ? 'ERR_QUEUE_FULL' : undefined, `${what}: ${JSON.stringify(outcome)}`);
    assert.ok(count >= Math.min(items.length, this.queue.free), `${what} put ${count} where there was room for more`);
    await this.putNow(items.slice(0, count), of);
  }

  /** Items that are in: those who wait for room have none, and those who wait for items get theirs. */
  private async putNow(items: readonly number[], of: number): Promise<void> {
    const waiting = this.queue.producers;
    this.queue.producers = [];
    this.queue.put({ id: 0, handle: of, items, accepted: 0, many: true });
    for (let ending = this.queue.next(); ending?.id !== 0; ending = this.queue.next()) {
      if (ending === undefined) assert.fail(`${items.join()} cannot all be in the queue`);
      const call = this.pending.byId(ending.id);
      const outcome = await this.pending.outcomeOf(call);
      assert.ok('value' in outcome && 'next' in ending, `${call.what} should have been given an item`);
      this.given(call, outcome.value, ending);
    }
    this.queue.producers = waiting;
  }

  private async take(
    operation: Extract<Operation, { do: 'get' | 'getMany' | 'lease' | 'leaseMany' | 'iterate' }>,
    of: number,
  ): Promise<void> {
    const max = 'max' in operation ? operation.max : 1;
    const lease = operation.do === 'lease' || operation.do === 'leaseMany';
    // A loop ends with its handle or its queue; here it takes what is there.
    if (operation.do === 'iterate' && this.queue.items.length === 0) return;
    const block = operation.wait;
    const what = `${operation.do}${'max' in operation ? `(${max})` : ''}${block ? '' : ' without waiting'} on handle ${of}`;
    const call = this.start(what, of, async (queue, signal) => {
      const options = block ? { signal } : { block };
      if (operation.do === 'get') return queue.get(options);
      if (operation.do === 'lease') return queue.lease(options);
      if (operation.do === 'getMany') return queue.getMany(max, options);
      if (operation.do === 'leaseMany') return queue.leaseMany(max, options);
      const iterator = queue[Symbol.asyncIterator]();
      const { value } = (await iterator.next()) as { value: number };
      await iterator.return?.();
      return value;
    });
    if (block) return this.queue.take({ id: call.id, handle: of, max, lease });
    if (this.queue.items.length === 0)
      return this.pending.fails(call, this.queue.isFinished ? 'ERR_QUEUE_SHUT_DOWN' : 'ERR_QUEUE_EMPTY');
    const outcome = await this.pending.outcomeOf(call);
    if ('error' in outcome) return assert.fail(`${what} should have succeeded: ${String(outcome.error)}`);
    const held = this.queue.takeNow(this.brought(call, outcome.value, this.queue.items, max), lease, of);
    if (lease) this.keepLeases(outcome.value, held, what);
  }

  private async endLease(which: number, acknowledge: boolean): Promise<void> {
    if (this.leases.length === 0) return;
    const one = this.leases[this.leases.length - 1 - (which % this.leases.length)]!;
    const { lease, held, lost, ended } = one;
    one.ended = true;
    const tooLate = acknowledge && lost && !ended;
    const outcome = await (acknowledge ? lease.ack() : lease.release()).then(
      () => undefined,
      (error: unknown) => error as { code?: string },
    );
    assert.equal(
      outcome?.code,
      tooLate ? 'ERR_QUEUE_CLOSED' : undefined,
      `${acknowledge ? 'ack' : 'release'} of ${lease.item}`,
    );
    this.queue.end(held, acknowledge);
  }

  private async abort(which: number): Promise<void> {
    const waiting = this.pending.all;
    if (waiting.length === 0) return;
    const call = waiting[which % waiting.length]!;
    const reason = Object.assign(new Error('enough'), { code: 'ENOUGH' });
    call.controller.abort(reason);
    await this.pending.fails(call, 'ENOUGH', this.queue.leave(call.id));
  }

  /** A call that waits, in vain and not for long. */
  private async late(how: Extract<Operation, { do: 'late' }>['call'], of: number): Promise<void> {
    // Over the network an answer that a busy machine gives late is an error of its own.
    if (this.type.remote || this.queue.isFinished) return;
    const puts = how === 'put' || how === 'putMany';
    if (puts ? !this.queue.isFull || this.queue.mode !== 'open' : this.queue.items.length > 0) return;
    const call = this.start(`${how} with a timeout`, of, async (queue) => {
      const options = { timeoutMs: 2 };
      if (how === 'put') return queue.put(-1, options);
      if (how === 'putMany') return queue.putMany([-1, -2], options);
      return how === 'getMany' || how === 'leaseMany' ? queue[how](2, options) : queue[how](options);
    });
    await this.pending.fails(call, puts ? 'ERR_QUEUE_FULL' : 'ERR_QUEUE_EMPTY', puts ? 0 : undefined);
  }

  /** @param next makes the handle that is used from then on */
  private async close(of: number, next: (closed: Queue<number>) => Queue<number>): Promise<void> {
    if (!this.type.shared || this.queue.mode !== 'open') return;
    const closed = this.handles[of]!;
    await closed.close();
    for (const call of this.pending.all)
      if (call.handle === of) await this.pending.fails(call, 'ERR_QUEUE_CLOSED', this.queue.leave(call.id));
    for (const one of this.leases) {
      if (one.held.handle === of && this.queue.end(one.held, false)) one.lost = true;
    }
    this.handles[of] = next(closed);
  }

  private async look(of: number): Promise<void> {
    const queue = this.handles[of]!;
    assert.equal(await queue.qsize(), this.queue.items.length, 'qsize');
    assert.equal(await queue.empty(), this.queue.items.length === 0, 'empty');
    if (this.queue.maxsize > 0) assert.equal(await queue.full(), this.queue.isFull, 'full');
    assert.equal((await queue.stats()).qsize, this.queue.items.length, 'stats().qsize');
  }

  /** Takes one item out of a stream and leaves: nothing else is gone. */
  private async readable(of: number): Promise<void> {
    const [next] = this.queue.items;
    if (next === undefined) return;
    const stream = this.handles[of]!.readable();
    for await (const item of stream) {
      assert.equal(item, next.value, 'an item of a stream');
      break;
    }
    // Node tells a stream whose loop was left of an AbortError first.
    if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
    this.queue.takeNow(1, false, of);
  }

  private async writable(of: number): Promise<void> {
    if (this.queue.isFull || this.queue.mode !== 'open') return;
    const item = this.nextItem++;
    const stream = this.handles[of]!.writable();
    stream.end(item);
    await once(stream, 'finish');
    await this.putNow([item], of);
  }
}

/** Runs sequences for a while (MODEL_MS=…). A failure is printed with the seed and path that repeat it: SEED=… MODEL_PATH=… */
export async function holdToReference(type: QueueType): Promise<void> {
  const seed = chooseSeed(type.name);
  const path = process.env.MODEL_PATH;
  let runs = 0;
  // The time limit abandons a sequence in the middle; it has to come to its end before the test does.
  let last: Promise<void> = Promise.resolve();
  const runThrough = async (maxsize: number, operations: Operation[]): Promise<void> => {
    runs++;
    const run = new Run(maxsize, type);
    try {
      for (const one of operations) await run.step(one);
    } finally {
      await run.end();
    }
  };
  const sequences = fc.asyncProperty(
    fc.nat(4),
    fc.array(operation, { maxLength: 25, size: 'max' }),
    (maxsize, operations) => (last = runThrough(maxsize, operations)),
  );
  try {
    await fc.assert(sequences, {
      seed,
      path,
      numRuns: 10_000_000,
      interruptAfterTimeLimit: runMs(type),
      markInterruptAsFailure: false,
    });
    await last;
  } finally {
    console.info(`${type.name}: ${runs} sequences`);
  }
  assert.ok(path !== undefined || runs >= FEWEST_RUNS, `only ${runs} sequences were run`);
}
