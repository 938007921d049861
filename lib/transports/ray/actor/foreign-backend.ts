/** A queue in somebody else's actor: what can be promised depends on the methods that it has. */
import { QueueClosedError, QueueConnectionError, QueueEmptyError, QueueFullError } from '../../../errors';
import type { LeaseEnd } from '../../../queue/lease-table';
import type { Wait } from '../../../wait/options';
import { onAbort } from '../../../wait/abort-listeners';
import { Alarm, answerWithin, remainingMs } from '../../../wait/deadline';
import type { Backend, BackendState, Delivery, Promises } from './backend';
import type { RayActor, RayClient } from '../client/ray-client';
import { isEmpty, isFull } from '../errors';
import { PyFloat, PyFragment } from '../pickle/types';
import { ActorCall, unanswered } from './pending-call';
import { ActorPut, encodeItem, type PutGroup } from './putter';
import { Turns } from './turns';

/** What Python's `inspect` says of each method: whether it is a coroutine, and its parameters. */
type Methods = { readonly [name: string]: readonly [async: boolean, parameters: readonly string[]] };

const INSPECT = `lambda self: {
  n: [__import__("inspect").iscoroutinefunction(getattr(self, n)), list(__import__("inspect").signature(getattr(self, n)).parameters)]
  for n in ("put", "get", "empty", "qsize", "full", "put_nowait", "get_nowait", "shutdown") if callable(getattr(self, n, None))}`;
const MAXSIZE = `lambda self: self.maxsize if isinstance(getattr(self, "maxsize", None), int) else None`;
/** Atomic where the actor has one thread, or is asynchronous and these methods are not. */
const TAKE = `lambda self: [] if self.empty() else [self.get()]`;

/** The longest that one call blocks in the actor, so that a get whose client is gone soon ends. */
const LONGEST_CALL_MS = 1000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;
/** How long close() waits for room for what it still has. */
const PUT_BACK_WITHIN_MS = 1000;

/** An item that is this handle's: the actor knows nothing of it any more. */
interface Taken {
  item: unknown;
  deliveries: number;
  /** How many were taken before it: those that come back come again in the order they had. */
  place: number;
}

export class ForeignBackend implements Backend {
  readonly promises: Promises;
  private readonly putting: Turns;
  private readonly taking: Turns;
  /** Taken for a consumer that had left, or released by one: first to go out again. */
  private readonly returned: Taken[] = [];
  /** How many each get wants that has nothing yet, in order. */
  private readonly wanting = new Map<ActorCall<Delivery[]>, number>();
  /** The one for which the actor is being asked. */
  private inHand: ActorCall<Delivery[]> | undefined;
  private places = 0;
  private owed: { readonly error: unknown } | undefined;
  private readonly leaving = new AbortController();
  private putTotal = 0;
  private getTotal = 0;
  private leased = 0;

  private constructor(
    private readonly client: RayClient,
    private readonly actor: RayActor,
    private readonly methods: Methods,
    readonly maxsize: number | undefined,
    private readonly answerMs: number,
  ) {
    this.putting = new Turns('put', answerMs);
    this.taking = new Turns('get', answerMs);
    const blocking = this.waits('get') ? 'waits' : 'polls';
    this.promises = { delivery: 'at-most-once', idempotentPuts: false, fifo: true, blocking, totals: 'handle' };
  }

  /** @throws QueueConnectionError when the actor lacks a method that a queue needs. */
  static async attach(client: RayClient, actor: RayActor, answerMs: number): Promise<ForeignBackend> {
    const methods = (await client.callExpression(actor, INSPECT)) as Methods;
    const missing = ['put', 'get', 'empty', 'qsize'].filter((name) => methods[name] === undefined);
    if (missing.length > 0) {
      throw new QueueConnectionError(
        `The actor '${actor.name}' is no queue: its Python class has no ${missing.join(', ')}. A queue needs put, get, empty and qsize.`,
      );
    }
    const maxsize = await client.callExpression(actor, MAXSIZE);
    return new ForeignBackend(client, actor, methods, typeof maxsize === 'number' ? maxsize : undefined, answerMs);
  }

  private has(method: string, parameter: string): boolean {
    return this.methods[method]?.[1].includes(parameter) ?? false;
  }

  private isAsync(method: string): boolean {
    return this.methods[method]?.[0] ?? false;
  }

  /** A method that blocks is called only where it does not block the whole actor. */
  private waits(method: string): boolean {
    return this.isAsync(method) && this.has(method, 'timeout');
  }

  private call(method: string, args: readonly unknown[] = [], kwargs = {}): Promise<unknown> {
    return this.client.call(this.actor, method, args, kwargs);
  }

  // ── puts: one at a time, so that they keep their order

  put(item: unknown, wait: Wait, group?: PutGroup): Promise<void> {
    if (this.leaving.signal.aborted) throw new QueueClosedError();
    const put = new ActorPut(encodeItem(item), wait, this.putting, group);
    this.putting.inTurn(put, () => this.putInTurn(put, wait));
    return put.promise;
  }

  private async putInTurn(put: ActorPut, wait: Wait): Promise<void> {
    put.failWithGroup();
    for (let pause = FIRST_PAUSE_MS; !put.settled; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      if (put.isAborted) return put.fail(undefined);
      put.sent = true;
      const isIn = await this.putOnce(
        put.fragment,
        put.isLate ? 0 : Math.min(remainingMs(put.deadline), LONGEST_CALL_MS),
      );
      put.sent = false;
      if (isIn) {
        this.putTotal++;
        if (!put.settled) put.resolve();
        return;
      }
      this.putting.tellLate(() => new QueueFullError(`The queue of actor '${this.actor.name}' is full.`));
      if (put.settled) return;
      if (!this.waits('put')) await this.pause(Math.min(pause, remainingMs(put.deadline)), wait.signal);
    }
  }

  private async putOnce(item: PyFragment, waitMs: number): Promise<boolean> {
    try {
      if (waitMs > 0 && this.waits('put')) await this.call('put', [item], { timeout: new PyFloat(waitMs / 1000) });
      else if (this.methods.put_nowait !== undefined) await this.call('put_nowait', [item]);
      else if (this.has('put', 'block')) await this.call('put', [item], { block: false });
      else if (this.methods.full !== undefined && (await this.call('full')) === true) return false;
      else await this.call('put', [item]);
      return true;
    } catch (error) {
      if (isFull(error)) return false;
      throw error;
    }
  }

  // ── gets: one at a time; an item that comes too late for its consumer waits here for the next

  take(max: number, wait: Wait): Promise<Delivery[]> {
    if (this.leaving.signal.aborted) throw new QueueClosedError();
    const take = new ActorCall<Delivery[]>(wait, this.taking);
    this.wanting.set(take, max);
    const forget = (): void => void this.wanting.delete(take);
    take.promise.then(forget, forget);
    // Whoever has been served by what came back leaves a call of the actor behind, which nobody has to wait for.
    if (this.inHand?.settled === true) this.serveReturned();
    this.taking.inTurn(take, async () => {
      this.inHand = take;
      try {
        await this.takeInTurn(max, take, wait);
      } finally {
        this.inHand = undefined;
      }
    });
    return take.promise;
  }

  private async takeInTurn(max: number, take: ActorCall<Delivery[]>, wait: Wait): Promise<void> {
    this.throwOwed();
    const items = this.returned.splice(0, max);
    if (items.length > 0) this.wanting.delete(take);
    try {
      for (let pause = FIRST_PAUSE_MS; items.length < max; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        if (take.settled) break;
        const waits = items.length === 0 && !take.isLate;
        const got = await this.takeOnce(waits ? Math.min(remainingMs(take.deadline), LONGEST_CALL_MS) : 0);
        items.push(...got.map((item) => ({ item, deliveries: 1, place: this.places++ })));
        if (items.length > 0) this.wanting.delete(take);
        if (got.length > 0) continue;
        if (items.length > 0) break;
        this.taking.tellLate(() => new QueueEmptyError());
        if (take.settled) break;
        if (!this.waits('get')) await this.pause(Math.min(pause, remainingMs(take.deadline)), wait.signal);
      }
    } catch (error) {
      // What it has is handed over; the next call says what went wrong.
      if (items.length === 0) throw error;
      this.owed = { error };
    }
    if (take.settled) this.requeue(items);
    else take.resolve(items.map((entry) => this.deliver(entry)));
  }

  private requeue(items: readonly Taken[]): void {
    this.returned.push(...items);
    this.returned.sort((one, other) => one.place - other.place);
    // Once all that comes back together is there.
    queueMicrotask(() => this.serveReturned());
  }

  /** Those that the actor has nothing for, and those behind them. Where it is asked for nobody the next one begins with what came back. */
  private serveReturned(): void {
    if (this.inHand === undefined) return;
    for (const [take, max] of this.wanting) {
      if (this.returned.length === 0) return;
      this.wanting.delete(take);
      if (!take.settled) take.resolve(this.returned.splice(0, max).map((entry) => this.deliver(entry)));
    }
  }

  private throwOwed(): void {
    const { owed } = this;
    this.owed = undefined;
    if (owed !== undefined) throw owed.error;
  }

  private async takeOnce(waitMs: number): Promise<unknown[]> {
    try {
      if (waitMs > 0 && this.waits('get')) return [await this.call('get', [], { timeout: new PyFloat(waitMs / 1000) })];
      if (this.methods.get_nowait !== undefined) return [await this.call('get_nowait')];
      if (this.has('get', 'block')) return [await this.call('get', [], { block: false })];
      if (!this.isAsync('get') && !this.isAsync('empty'))
        return (await this.client.callExpression(this.actor, TAKE)) as unknown[];
      if ((await this.call('empty')) === true) return [];
      return [await this.call('get', [], this.has('get', 'timeout') ? { timeout: new PyFloat(0.001) } : {})];
    } catch (error) {
      if (isEmpty(error)) return [];
      throw error;
    }
  }

  private deliver(entry: Taken): Delivery {
    let open = true;
    this.leased++;
    const end = (how: LeaseEnd): void => {
      if (!open) return;
      open = false;
      this.leased--;
      if (how === 'ack') this.getTotal++;
      else this.requeue([how === 'undo' ? entry : { ...entry, deliveries: entry.deliveries + 1 }]);
    };
    return {
      item: { value: entry.item },
      deliveries: entry.deliveries,
      end,
      endNow: async (how) => end(how),
    };
  }

  private pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        alarm.cancel();
        for (const ignore of ignored) ignore();
        resolve();
      };
      const alarm = new Alarm(performance.now() + ms, done, true);
      const ignored: (() => void)[] = [];
      for (const ending of [signal, this.leaving.signal]) ignored.push(onAbort(ending, done));
    });
  }

  async state(): Promise<BackendState> {
    const late = (): Error => unanswered('qsize', this.answerMs);
    const qsize = Number(await answerWithin(this.answerMs, this.call('qsize'), late)) + this.returned.length;
    return { qsize, maxsize: this.maxsize ?? 0, leased: this.leased, putTotal: this.putTotal, getTotal: this.getTotal };
  }

  async shutdown(): Promise<void> {
    throw new QueueConnectionError(
      `The actor '${this.actor.name}' cannot be shut down as a queue: it is not one that sage-queue made.`,
    );
  }

  async join(): Promise<void> {
    throw new TypeError(
      `The actor '${this.actor.name}' cannot know what others hold: join() is for queues that sage-queue made. Count what was acknowledged instead.`,
    );
  }

  /** What this handle still holds belongs to the queue: it goes back, behind the rest. */
  async close(): Promise<void> {
    this.leaving.abort();
    this.taking.end();
    this.putting.end();
    const leaving = Promise.all([this.taking.idle, this.putting.idle]).then(() => this.putBack());
    await answerWithin(this.answerMs, leaving, () => unanswered('close', this.answerMs)).catch(() => {});
    this.putting.abort();
  }

  /** What has come back, as soon as there is room. */
  private async putBack(): Promise<void> {
    const deadline = performance.now() + PUT_BACK_WITHIN_MS;
    let reason: unknown = 'its queue is full';
    try {
      while (this.returned.length > 0 && performance.now() < deadline)
        if (await this.putOnce(encodeItem(this.returned[0]!.item), 0)) this.returned.shift();
        else await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS));
    } catch (error) {
      reason = error;
    }
    const lost = this.returned.splice(0).length;
    if (lost === 0) return;
    const what = lost === 1 ? 'An item' : `${lost} items`;
    process.emitWarning(`${what} of the actor '${this.actor.name}' could not be put back: ${String(reason)}`);
  }

  forget(): void {
    this.leaving.abort();
  }
}
