/** One client handle on one remote queue: ties the connection to the puts, gets and questions that travel on it. */
import { randomBytes } from 'node:crypto';
import { codecOfSchema } from '../../../codec/struct/codec';
import { QueueClosedError, QueueConnectionError } from '../../../errors';
import { Alarm } from '../../../wait/deadline';
import type { ConnectionFailure } from '../wire/errors';
import { PROTOCOL_VERSION, toNumber } from '../wire/protocol';
import type { ClientFrame, Open, Opened, ServerFrame } from '../wire/protocol';
import { ANSWER_WITHIN_MS } from './call-timeout';
import { Connection } from './connection';
import { PendingGets } from './pending-gets';
import { LeasedItems } from './leased-items';
import { PendingPuts } from './pending-puts';
import { PendingQueries } from './pending-queries';
import { PendingSettles } from './pending-settles';
import { ReadAhead } from './read-ahead';
import type { Remote } from './remote';

/** From then on its items can be read in this thread. One that is none is the server's mistake: its items stay where they are. */
function learnSchema(text: Uint8Array): void {
  try {
    codecOfSchema(JSON.parse(Buffer.from(text).toString('utf8')));
  } catch {
    // Whoever meets such an item says so.
  }
}

/** How long close() waits for what is under way, and for the server to let go. */
const CLOSE_WITHIN_MS = 2000;

export interface OpenWishes {
  maxsize?: number;
  exclusive?: boolean;
  /** For calls that do not wait for the queue. */
  answerWithinMs?: number;
  /** The most items to read ahead. */
  prefetch?: number;
}

export class RpcClient {
  readonly puts: PendingPuts;
  readonly gets: PendingGets;
  readonly queries: PendingQueries;
  readonly leased: LeasedItems;
  /** Longest encoded item the server takes, once it is known. */
  maxItemBytes = Infinity;
  private readonly connection: Connection;
  private readonly settles: PendingSettles;
  private readonly clientId = randomBytes(16);
  /** The server that answered last: after a restart it is another. */
  private instance: Uint8Array | undefined;
  private rememberMs = Infinity;
  /** Streams begun. */
  private streams = 0;
  /** Rings once the server will have forgotten this client. */
  private forgetting: Alarm | undefined;
  /** The server is going down: this stream only brings what is under way to its end. */
  private draining = false;
  private nextRequest = 1;
  private closed: Promise<void> | undefined;
  private onQuiet: (() => void) | undefined;

  constructor(
    private readonly remote: Remote,
    private readonly wishes: OpenWishes,
  ) {
    const requestNumber = (): number => this.nextRequest++;
    this.connection = new Connection(remote, wishes.answerWithinMs ?? ANSWER_WITHIN_MS);
    this.puts = new PendingPuts(this.connection);
    this.settles = new PendingSettles(this.connection);
    this.leased = new LeasedItems(this.connection, this.settles);
    const ahead = new ReadAhead(wishes.prefetch);
    this.gets = new PendingGets(this.connection, requestNumber, this.settles, ahead);
    this.queries = new PendingQueries(this.connection, requestNumber);
    this.connection.listen({
      openFrame: () => this.openFrame(),
      onOpened: (opened) => this.onOpened(opened),
      onFrame: (frame) => this.onFrame(frame),
      onDown: (failure, wasOpen) => this.onDown(failure, wasOpen),
      onFlush: () => this.flush(),
      hasPending: () => this.hasPending(),
      holdsProcess: () => this.isWaitedFor(),
    });
  }

  checkOpen(): void {
    if (this.closed !== undefined) throw new QueueClosedError();
  }

  setReferenced(referenced: boolean): void {
    this.connection.referenced = referenced;
    for (const pending of [this.puts, this.gets, this.queries]) pending.setReferenced(referenced);
    this.connection.updateRef();
  }

  /** Idempotent. What was about to be handed over still is; what waits fails with QueueClosedError. */
  close(): Promise<void> {
    return (this.closed ??= this.leave());
  }

  private async leave(): Promise<void> {
    this.connection.closing = true;
    this.puts.giveUpAll(() => new QueueClosedError());
    this.gets.stop(new QueueClosedError());
    this.gets.shown.close();
    this.queries.failAll(new QueueClosedError());
    if (this.isWaitedFor()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_WITHIN_MS);
        this.onQuiet = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.puts.failAll(() => new QueueClosedError());
    this.forgetting?.cancel();
    await this.connection.close(CLOSE_WITHIN_MS);
    this.settles.endAll();
  }

  private hasPending(): boolean {
    // What lies in streams goes back unless we come back in time.
    return this.hasCalls() || this.settles.busy || this.gets.shown.anyHeld;
  }

  private hasCalls(): boolean {
    return this.puts.busy || this.gets.busy || this.queries.busy;
  }

  /**
   * Whether the process, or close(), has to wait for the server. It is told what the program has of its items as long as there may be one:
   * where nobody listens, what was on lease has ended with whoever lent it.
   */
  private isWaitedFor(): boolean {
    return this.hasCalls() || (this.settles.busy && !this.connection.isDeserted);
  }

  private updateRef(): void {
    this.connection.updateRef();
    if (!this.isWaitedFor()) this.onQuiet?.();
  }

  private flush(): void {
    for (let more = true; more && this.connection.isOpen;) {
      const frame: ClientFrame = {};
      if (this.draining) {
        more = false;
        this.settles.collect(frame);
      } else {
        more = this.puts.collect(frame);
        this.settles.collect(frame);
        this.gets.collect(frame);
        this.queries.collect(frame);
      }
      if (Object.keys(frame).length > 0) this.connection.send(frame);
    }
    this.updateRef();
  }

  private openFrame(): Open {
    return {
      protocolVersion: PROTOCOL_VERSION,
      queueId: this.remote.queueId,
      clientId: this.clientId,
      serverInstance: this.instance ?? null,
      knownPuts: this.puts.known,
      openSettles: this.settles.takeUnanswered(),
      holds: this.gets.shown.heldTags,
      maxsize: this.wishes.maxsize ?? null,
      // Having been here once, the queue exists.
      exclusive: this.instance === undefined && this.wishes.exclusive === true,
      stream: ++this.streams,
    };
  }

  private onOpened(opened: Opened): void {
    this.forgetting?.cancel();
    this.forgetting = undefined;
    const instance = opened.serverInstance!;
    const same = this.instance !== undefined && Buffer.compare(this.instance, instance) === 0;
    this.instance = instance;
    this.rememberMs = opened.rememberMs!;
    this.maxItemBytes = toNumber(opened.maxItemBytes);
    for (const text of opened.schemas ?? []) learnSchema(text);
    const again = this.puts.onOpened(opened, same);
    this.settles.onOpened(opened, same);
    this.gets.onOpened(opened);
    for (const put of again) this.connection.send({ puts: [put] });
    this.flush();
  }

  private onFrame(frame: ServerFrame): void {
    if (frame.putResult) this.puts.onResult(frame.putResult);
    if (frame.settled) this.settles.onSettled(frame.settled);
    for (const delivery of frame.deliveries ?? []) this.gets.onDelivery(delivery);
    for (const result of frame.queryResults ?? []) this.queries.onResult(result);
    for (const failure of frame.failures ?? []) if (!this.gets.onFailure(failure)) this.queries.onFailure(failure);
    if (frame.recall) this.gets.onRecall();
    if (frame.stopping) this.onStopping();
    this.leaveStopping();
    this.updateRef();
  }

  private onStopping(): void {
    const error = new QueueConnectionError(`the server at ${this.connection.where} is stopping`);
    this.puts.failUnsent(error);
    this.gets.stop(error);
    this.queries.stop(error);
    this.draining = true;
  }

  /** The server waits for this before it goes; calls made meanwhile are for the one that comes next. */
  private leaveStopping(): void {
    if (!this.draining || this.puts.inFlight || this.settles.busy || this.leased.open > 0) return;
    this.draining = false;
    this.connection.disconnect(new QueueConnectionError(`the server at ${this.connection.where} is stopping`));
  }

  private onDown(failure: ConnectionFailure, wasOpen: boolean): void {
    this.draining = false;
    this.puts.onDown(failure, wasOpen);
    this.gets.onDown(failure);
    this.queries.onDown(failure);
    // Last: whoever hears that leases are lost may ask for others.
    this.leased.onDown();
    if (this.puts.inFlight && this.forgetting === undefined) {
      this.forgetting = new Alarm(performance.now() + this.rememberMs, () => {
        this.forgetting = undefined;
        this.puts.forgotten();
      });
    }
    this.updateRef();
  }
}
