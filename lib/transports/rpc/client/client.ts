/** One client handle on one remote queue: ties the stream to the puts, gets and questions that travel on it. */
import { randomBytes } from 'node:crypto';
import { QueueClosedError, QueueConnectionError } from '../../../errors';
import type { LinkFailure } from '../wire/errors';
import type { ItemBatch } from '../wire/item-batch';
import { toNumber } from '../wire/protocol';
import type { ClientFrame, Open, Opened, ServerFrame } from '../wire/protocol';
import { GetLedger } from './pending-gets';
import { Link } from './connection';
import type { LinkOwner, Remote } from './connection';
import { PutLedger } from './pending-puts';
import { QueryLedger } from './pending-queries';
import type { Host } from './call-timeout';
import { Alarm } from '../../../wait/deadline';
import { FOR_EVER } from '../../../wait/options';

/** How long close() waits for what is under way, and for the server to let go. */
const CLOSE_PATIENCE_MS = 2000;

export interface OpenWishes {
  maxsize?: number;
  exclusive?: boolean;
}

export class Handle implements LinkOwner, Host {
  readonly puts: PutLedger;
  readonly gets: GetLedger;
  readonly queries: QueryLedger;
  referenced = true;
  /** Longest encoded item the server takes, once it is known. */
  maxItemBytes = Infinity;
  private readonly link: Link;
  private readonly clientId = randomBytes(16);
  private instance: Uint8Array | undefined;
  private rememberMs = Infinity;
  /** Rings once the server will have forgotten this client. */
  private forgetting: Alarm | undefined;
  private flushing = false;
  /** The server is going down: this stream only brings what is under way to its end. */
  private draining = false;
  private request = 1;
  private closing: Promise<void> | undefined;
  private onQuiet: (() => void) | undefined;

  constructor(
    private readonly remote: Remote,
    private readonly wishes: OpenWishes,
  ) {
    const requestNumber = (): number => this.request++;
    this.link = new Link(remote, this);
    this.puts = new PutLedger(this);
    this.gets = new GetLedger(this, requestNumber, (items: ItemBatch) => {
      void this.puts.put(items, FOR_EVER, { front: true });
    });
    this.queries = new QueryLedger(this, requestNumber);
  }

  get where(): string {
    return this.link.where;
  }
  get isOpen(): boolean {
    return this.link.isOpen;
  }
  get lastFailure(): LinkFailure | undefined {
    return this.link.lastFailure;
  }
  get closed(): boolean {
    return this.closing !== undefined;
  }

  checkOpen(): void {
    if (this.closed) throw new QueueClosedError();
  }

  stir(): void {
    this.mindTheLoop();
    if (!this.link.isOpen) return this.link.wake();
    if (this.flushing) return;
    // At the end of this turn of the loop: what is called in one turn travels in one frame.
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    for (let more = true; more && this.link.isOpen;) {
      const frame: ClientFrame = {};
      if (this.draining) {
        more = false;
        this.gets.collectSettles(frame);
      } else {
        more = this.puts.collect(frame);
        this.gets.collect(frame);
        this.queries.collect(frame);
      }
      if (Object.keys(frame).length > 0) this.link.send(frame);
    }
    this.mindTheLoop();
  }

  setReferenced(referenced: boolean): void {
    this.referenced = referenced;
    for (const ledger of [this.puts, this.gets, this.queries]) ledger.setReferenced(referenced);
    this.mindTheLoop();
  }

  private mindTheLoop(): void {
    const busy = this.wanted();
    this.link.hold.set(busy && this.referenced);
    if (!busy) this.onQuiet?.();
  }

  wanted(): boolean {
    return this.puts.busy || this.gets.busy || this.queries.busy;
  }

  openFrame(): Open {
    return {
      protocolVersion: 1,
      queueId: this.remote.queueId,
      clientId: this.clientId,
      serverInstance: this.instance ?? null,
      knownPuts: this.puts.known,
      openSettles: this.gets.unanswered,
      maxsize: this.wishes.maxsize ?? null,
      // Having been here once, the queue exists.
      exclusive: this.instance === undefined && this.wishes.exclusive === true,
    };
  }

  onOpened(opened: Opened): void {
    this.forgetting?.cancel();
    this.forgetting = undefined;
    const instance = opened.serverInstance!;
    const same = this.instance !== undefined && Buffer.compare(this.instance, instance) === 0;
    this.instance = instance;
    this.rememberMs = opened.rememberMs!;
    this.maxItemBytes = toNumber(opened.maxItemBytes);
    const again = this.puts.onOpened(opened, same);
    this.gets.onOpened(opened, same);
    for (const put of again) this.link.send({ puts: [put] });
    this.flush();
  }

  onFrame(frame: ServerFrame): void {
    if (frame.putResult) this.puts.onResult(frame.putResult);
    if (frame.settled) this.gets.onSettled(frame.settled);
    for (const delivery of frame.deliveries ?? []) this.gets.onDelivery(delivery);
    for (const result of frame.queryResults ?? []) this.queries.onResult(result);
    for (const failure of frame.failures ?? []) if (!this.gets.onFailure(failure)) this.queries.onFailure(failure);
    if (frame.stopping) {
      const error = new QueueConnectionError(`the server at ${this.where} is stopping`);
      this.puts.failUnsent(error);
      this.gets.failWaiting(error);
      this.draining = true;
    }
    // The server waits for this before it goes; calls made meanwhile are for the one that comes next.
    if (this.draining && !this.puts.inFlight && this.gets.unanswered.length === 0 && !this.gets.holdsLeases) {
      this.draining = false;
      this.link.rest(new QueueConnectionError(`the server at ${this.where} is stopping`));
    }
    this.mindTheLoop();
  }

  onDown(failure: LinkFailure): void {
    this.draining = false;
    this.puts.onDown(failure, this.where);
    this.gets.onDown(failure);
    this.queries.onDown(failure);
    if (this.puts.inFlight && this.forgetting === undefined) {
      this.forgetting = new Alarm(performance.now() + this.rememberMs, () => {
        this.forgetting = undefined;
        this.puts.forgotten();
      });
    }
    this.mindTheLoop();
  }

  /** Idempotent. What was about to be handed over still is; what waits fails with QueueClosedError. */
  close(): Promise<void> {
    return (this.closing ??= this.leave());
  }

  private async leave(): Promise<void> {
    this.puts.failAll(new QueueClosedError());
    this.gets.failWaiting(new QueueClosedError());
    this.queries.failAll(new QueueClosedError());
    if (this.wanted()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_PATIENCE_MS);
        this.onQuiet = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.gets.failAll(new QueueClosedError());
    this.forgetting?.cancel();
    await this.link.close(CLOSE_PATIENCE_MS);
  }
}
