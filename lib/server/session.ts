/** One stream of one client: reads its frames, and ends with everything in a known state. */
import { QueueConnectionError, QueueError } from '../errors';
import { Alarm } from '../wait/deadline';
import type { Grpc } from '../transports/rpc/wire/grpc';
import { loadGrpc } from '../transports/rpc/wire/grpc';
import { CANNOT_KNOW, CODE_HEADER, PROTOCOL_VERSION, STOPPING, toNumber } from '../transports/rpc/wire/protocol';
import type { ClientFrame, Join, Open, Opened, Query, ServerFrame, Shutdown } from '../transports/rpc/wire/protocol';
import type { Grant, Right } from './access';
import { checkWaiting, GetStream } from './get-stream';
import { FrameWriter } from './frame-writer';
import { inHeader } from './in-header';
import { PutStream } from './put-stream';
import type { ClientState } from './client-state';
import type { Delivery } from './delivery-table';
import type { Opener } from './reply-queues';
import type { ServedQueue } from './served-queue';

export type Call = Grpc.ServerDuplexStream<ClientFrame, ServerFrame>;

/** What a client may have put and not been answered. */
export const WINDOW_ITEMS = 16_384;
export const WINDOW_BYTES = 4 * 1024 * 1024;
/** A stream that says nothing at first is not kept. */
const OPEN_WITHIN_MS = 10_000;
/** Joins that one client may have waiting. */
const MOST_JOINS = 16_384;
/** A queue that ignores abort signals may hold up the end of a stream this long; then its outcomes count as unknown. */
const END_WITHIN_MS = 2000;

export interface SessionHost {
  readonly instance: Uint8Array;
  readonly rememberMs: number;
  readonly maxItemBytes: number;
  /** @throws QueueError when there is no such queue or it may not be opened */
  open(queueId: string, opener: Opener): Promise<ServedQueue>;
  /** The id of the queue whose replies go through this one: who may use that one may use it, as far as its name is known. */
  requestsOf(queueId: string): string | undefined;
  ended(session: Session, served: ServedQueue | undefined): void;
}

/** What a function of the server's owner threw is for the eyes of whoever runs the server. */
function keptFromClients(error: unknown): QueueConnectionError {
  process.emitWarning(`A queue could not be opened for a client: ${String(error)}`);
  return new QueueConnectionError('the server could not open the queue; what it printed says why');
}

/** Whether it is over before the end of a stream may be held up no longer. */
async function withinEnd(work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, END_WITHIN_MS, false)));
  const done = work.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([done, late]);
  clearTimeout(timer);
  return inTime;
}

export class Session {
  private readonly writer: FrameWriter;
  private readonly grpc = loadGrpc();
  private served: ServedQueue | undefined;
  private state: ClientState | undefined;
  private puts: PutStream | undefined;
  private gets: GetStream | undefined;
  private readonly joins = new Map<number, AbortController>();
  private opening: Promise<void> | undefined;
  private ending: Promise<void> | undefined;
  private lettingGo: Promise<void> | undefined;
  /** The client has closed its side. */
  private readonly left: Promise<void>;
  private finished = false;
  /** The client is done for good. */
  saidGoodbye = false;
  /** Its id, in hexadecimal digits; empty: it has none. */
  client = '';
  /** The id that its token must allow. */
  private granted: string | undefined;
  private answersCalls = false;
  private openTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly call: Call,
    private readonly host: SessionHost,
    /** What its token may do, by the latest list. */
    public grant: Grant,
  ) {
    this.writer = new FrameWriter(call);
    this.openTimer = setTimeout(() => {
      this.refuse(
        this.grpc.status.DEADLINE_EXCEEDED,
        'ERR_QUEUE_CONNECTION',
        `no open frame came within ${OPEN_WITHIN_MS} ms`,
      );
    }, OPEN_WITHIN_MS);
    call.on('data', (frame: ClientFrame) => this.receive(frame));
    this.left = new Promise((resolve) => {
      for (const event of ['end', 'cancelled', 'close', 'error']) call.once(event, () => resolve());
    });
    call.on('end', () => void this.end().then(() => this.finish()));
    call.on('cancelled', () => void this.end());
    call.on('close', () => void this.end());
    call.on('error', () => void this.end());
  }

  /** Going down: what waits fails, what is on lease may be settled for `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    const error = new QueueConnectionError('the server is stopping');
    this.writer.stopping();
    this.endJoins(error);
    if (this.puts !== undefined && this.gets !== undefined) {
      let alarm: Alarm | undefined;
      const grace = new Promise<void>((resolve) => {
        alarm = new Alarm(performance.now() + graceMs, resolve, true);
      });
      // What a client sent before it heard of it is answered too: the client leaves when nothing of its own is under way.
      await Promise.race([Promise.all([this.puts.drain(error), this.gets.drain(error), this.left]), grace]);
      alarm?.cancel();
    }
    this.writer.flush();
    this.refuse(this.grpc.status.UNAVAILABLE, STOPPING, 'the server is stopping');
    await this.end();
  }

  /** Ends the stream from this side with an error; others are not touched. */
  refuse(status: Grpc.status, code: string, details: string): void {
    if (this.finished) return;
    this.finished = true;
    const metadata = new this.grpc.Metadata();
    metadata.set(CODE_HEADER, code);
    this.call.emit('error', { code: status, details: inHeader(details), metadata });
    void this.end();
  }

  /** Resolves when nothing of this stream is under way any more. */
  end(): Promise<void> {
    return (this.ending ??= this.wrapUp());
  }

  private async wrapUp(): Promise<void> {
    clearTimeout(this.openTimer);
    this.endJoins(new QueueConnectionError('the stream has ended'));
    // What the client has from its stream before is on its way to this one.
    if (this.opening !== undefined) await withinEnd(this.opening);
    await this.letGo();
    this.writer.flush();
    this.writer.close();
    this.host.ended(this, this.served);
  }

  /** Of what the client put and was given, if it came that far. */
  private letGo(): Promise<void> | undefined {
    const { puts, gets, served, state } = this;
    if (puts === undefined || gets === undefined || served === undefined) return undefined;
    return (this.lettingGo ??= (async () => {
      const inTime = await withinEnd(Promise.all([puts.end(), gets.end(!this.saidGoodbye)]));
      if (state === undefined) return;
      served.clients.left(state, this);
      if (this.saidGoodbye || !inTime) served.clients.forget(state);
    })());
  }

  private finish(): void {
    if (this.finished) return;
    this.finished = true;
    this.call.end();
  }

  private receive(frame: ClientFrame): void {
    if (this.finished || this.ending !== undefined) return;
    try {
      if (this.puts === undefined || this.gets === undefined) this.first(frame);
      else this.handle(frame, this.puts, this.gets);
      this.waitForReader();
    } catch (error) {
      this.refuse(
        this.grpc.status.INVALID_ARGUMENT,
        'ERR_QUEUE_CONNECTION',
        `the stream broke the protocol: ${(error as Error).message}`,
      );
    }
  }

  /** Whoever does not read what it is answered is not read either: answers would pile up here. */
  private waitForReader(): void {
    const { backlog } = this.writer;
    if (backlog === undefined) return;
    this.call.pause();
    void backlog.then(() => this.call.resume());
  }

  private first(frame: ClientFrame): void {
    const { open } = frame;
    if (!open) throw new RangeError('the first frame must be open');
    clearTimeout(this.openTimer);
    // Nothing is read until the answer has gone out.
    this.call.pause();
    this.opening = this.open(open);
    this.opening.then(
      () => this.call.resume(),
      (error: unknown) => {
        const known = error instanceof QueueError ? error : keptFromClients(error);
        const status =
          known.code === 'ERR_QUEUE_NOT_FOUND' ? this.grpc.status.NOT_FOUND : this.grpc.status.FAILED_PRECONDITION;
        this.refuse(status, known.code, known.message);
      },
    );
  }

  private async open(open: Open): Promise<void> {
    if (open.protocolVersion !== PROTOCOL_VERSION) {
      throw new QueueConnectionError(
        `the server speaks version ${PROTOCOL_VERSION} of the protocol, the client version ${open.protocolVersion}. Use matching releases of sage-queue`,
      );
    }
    const queueId = open.queueId ?? '';
    const requests = this.host.requestsOf(queueId);
    this.answersCalls = requests !== undefined;
    this.granted = requests ?? queueId;
    if (!this.grant.mayOpen(this.granted))
      throw new QueueConnectionError(`the token may not use the queue '${queueId}'`);
    this.client = Buffer.from(open.clientId ?? []).toString('hex');
    const served = await this.host.open(queueId, { client: this.client, exclusive: open.exclusive === true });
    if (this.ending !== undefined) return this.host.ended(this, served);
    this.served = served;
    let held: Delivery[] = [];
    const answer: Opened = {
      protocolVersion: PROTOCOL_VERSION,
      serverInstance: this.host.instance,
      rememberMs: this.host.rememberMs,
      windowItems: WINDOW_ITEMS,
      windowBytes: WINDOW_BYTES,
      maxItemBytes: this.host.maxItemBytes,
      maxsize: await this.checkWishes(open, served),
      schemas: served.schemas,
    };
    if (open.clientId && open.clientId.length > 0) {
      const wasHere = Buffer.compare(open.serverInstance ?? Buffer.alloc(0), this.host.instance) === 0;
      const claimed = served.clients.claim(open.clientId, wasHere);
      const { state } = claimed;
      if (!state.isLatest(toNumber(open.stream)))
        throw new QueueConnectionError('the client has come back on a later stream already');
      // A client that comes back before its old stream was seen to end: the old one ends first.
      const before = state.session;
      state.session = this;
      if (before !== undefined) {
        before.refuse(this.grpc.status.ABORTED, STOPPING, 'the client has come back on another stream');
        await before.end();
      }
      this.state = state;
      state.knownPuts(toNumber(open.knownPuts));
      answer.remembered = claimed.remembered;
      answer.appliedThrough = state.appliedThrough;
      answer.notApplied = state.notApplied();
      const kept = await state.settleKept(open.openSettles ?? [], open.holds ?? []);
      held = kept.held;
      answer.settled = kept.done;
      answer.held = held.map(({ first, from, to }) => ({ first, count: to - from }));
    }
    this.puts = new PutStream(served, this.state, this.writer);
    this.gets = new GetStream(served, this.state, this.writer, held);
    // The stream may have ended while the old one did.
    if (this.ending !== undefined) await this.letGo();
    else this.call.write({ opened: answer });
  }

  private async checkWishes(open: Open, served: ServedQueue): Promise<number> {
    const { maxsize } = await served.query();
    if (open.exclusive && !this.answersCalls)
      throw new QueueError('ERR_QUEUE_EXISTS', `the server offers a queue '${open.queueId}' already`);
    if (open.maxsize !== null && open.maxsize !== undefined && open.maxsize !== 0 && open.maxsize !== maxsize) {
      throw new QueueError(
        'ERR_QUEUE_CONFIG_MISMATCH',
        `the descriptor asks for maxsize ${open.maxsize}, the queue '${open.queueId}' has ${toNumber(maxsize)}`,
      );
    }
    return toNumber(maxsize);
  }

  private handle(frame: ClientFrame, puts: PutStream, gets: GetStream): void {
    if (frame.open) throw new RangeError('open may come once only');
    // It has read `opened`.
    if (this.state !== undefined) this.state.isComplete = true;
    if (frame.window !== undefined && frame.window !== null) gets.setWindow(frame.window);
    this.withoutWhatIsForbidden(frame);
    for (const settle of frame.settles ?? []) gets.settle(settle);
    for (const put of frame.puts ?? []) puts.push(put);
    for (const cancel of frame.cancels ?? []) {
      if (cancel.puts) puts.cancel(cancel.puts);
      if (cancel.get) gets.cancel(toNumber(cancel.get));
      if (cancel.join) this.joins.get(toNumber(cancel.join))?.abort();
    }
    for (const get of frame.gets ?? []) gets.push(get);
    this.ask(frame.queries ?? []);
    for (const shutdown of frame.shutdowns ?? []) void this.shutdown(shutdown);
    for (const join of frame.joins ?? []) void this.join(join);
    if (this.joins.size > MOST_JOINS) throw new RangeError(`${this.joins.size} joins wait; at most ${MOST_JOINS} may`);
    if (puts.pending > 2 * WINDOW_ITEMS)
      throw new RangeError(`${puts.pending} items were put without an answer; the window is ${WINDOW_ITEMS}`);
    if (puts.pendingBytes > 2 * WINDOW_BYTES + this.host.maxItemBytes)
      throw new RangeError(`${puts.pendingBytes} bytes were put without an answer; the window is ${WINDOW_BYTES}`);
    if (frame.close) this.saidGoodbye = true;
  }

  /** Calls for which the token has no right are answered here. */
  private withoutWhatIsForbidden(frame: ClientFrame): void {
    if (this.answersCalls) return;
    const { writer } = this;
    const code = 'ERR_QUEUE_CONNECTION';
    const lacks = (right: Right): string => `the token lacks the right '${right}' on this queue`;
    const fail = (request: number, right: Right): void => writer.failure({ request, code, message: lacks(right) });
    if (!this.grant.may('put')) {
      for (const { sequence, items } of frame.puts?.splice(0) ?? [])
        writer.rejected({ puts: { first: sequence, count: items?.count }, code, message: lacks('put') });
    }
    if (!this.grant.may('get')) {
      const gets = frame.gets?.splice(0) ?? [];
      checkWaiting(gets.reduce((sum, { count }) => sum + Math.max(1, count ?? 1), 0));
      for (const { request, count } of gets)
        for (let index = 0; index < Math.max(1, count ?? 1); index++) fail(toNumber(request) + index, 'get');
    }
    if (!this.grant.may('stats'))
      for (const { request } of [...(frame.queries?.splice(0) ?? []), ...(frame.joins?.splice(0) ?? [])])
        fail(toNumber(request), 'stats');
    if (!this.grant.may('shutdown'))
      for (const { request } of frame.shutdowns?.splice(0) ?? []) fail(toNumber(request), 'shutdown');
  }

  get queueId(): string | undefined {
    return this.granted;
  }

  /** All that are asked at one time have one answer. */
  private ask(queries: readonly Query[]): void {
    if (queries.length === 0) return;
    const state = this.served!.query();
    for (const { request } of queries)
      void this.answer(request, async () => this.writer.answer({ request, ...(await state) }));
  }

  private async shutdown({ request, immediate }: Shutdown): Promise<void> {
    await this.answer(request, async () => {
      await this.served!.queue.shutdown({ immediate: immediate === true });
      this.served!.shutDown = true;
      this.writer.answer({ request });
    });
  }

  private async join({ request, waitMs }: Join): Promise<void> {
    const number = toNumber(request);
    const active = new AbortController();
    this.joins.set(number, active);
    await this.answer(request, async () => {
      try {
        await this.served!.join(waitMs ?? Infinity, active.signal);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        this.writer.failure({ request, code: CANNOT_KNOW, message: error.message });
        return;
      } finally {
        this.joins.delete(number);
      }
      this.writer.answer({ request });
    });
  }

  private endJoins(error: QueueError): void {
    for (const join of this.joins.values()) join.abort(error);
  }

  private async answer(request: Query['request'], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const known =
        error instanceof QueueError
          ? error
          : new QueueConnectionError(`the server failed: ${(error as Error).message}`);
      this.writer.failure({ request, code: known.code, message: known.message });
    }
  }
}
