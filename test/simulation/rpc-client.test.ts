/**
 * The client of `rpc` before the real server, on a virtual loop: puts, gets, leases, loops and questions of several clients, with and without
 * timeouts and signals, while connections are slow, break and are refused, the server dies or stops and comes back as another, and the loop
 * is late by any time. Each run says its seed; SEED=… repeats it.
 */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { channel } from 'node:diagnostics_channel';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Lease, Queue } from '../../lib';
import { QueueServer } from '../../lib/rpc';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { loadGrpc } from '../../lib/transports/rpc/wire/grpc';
import { seeded } from '../random';
import type { Random } from '../random';
import { Network } from './streams';
import type { Listener } from './streams';
import { VirtualLoop } from './virtual-clock';

jest.mock('../../lib/transports/rpc/wire/grpc', () => {
  const real = jest.requireActual<typeof import('../../lib/transports/rpc/wire/grpc')>(
    '../../lib/transports/rpc/wire/grpc',
  );
  let grpc: ReturnType<typeof real.loadGrpc> | undefined;
  const make = (): ReturnType<typeof real.loadGrpc> =>
    jest.requireActual<typeof import('./streams')>('./streams').simulated(real.loadGrpc());
  return { ...real, loadGrpc: () => (grpc ??= make()) };
});

const SCHEDULES = Number(process.env.SCHEDULES ?? 120);
const STEPS = 40;
jest.setTimeout(120_000);
const REATTACH_MS = 300;
const REMEMBER_MS = 2000;
/** What the client gives an answer that is late, a cancelled put, and a call that does not wait (docs/rpc.md). */
const GRACE_MS = 250 + 1000;
const ANSWER_MS = 3000;
const CLOSE_MS = 2000 + 2000;
/** The longest pause before it tries to connect again, and its way. */
const BACK_MS = 1000 + 100;
const GETS = ['get', 'getMany', 'leaseMany', 'next'];

/** What became of one item, as the programs were told. */
interface Item {
  put: 'pending' | 'in' | 'out' | 'unknown';
  /** How programs had it, each time; times that one may have had it. */
  readonly had: string[];
  perhaps: number;
  /** So often it may be there once more than it was put: each says which death or cut it may be put down to. */
  again: string[];
  /** What its put failed with. */
  error: string | undefined;
}

interface Program {
  readonly port: number;
  readonly queue: Queue<number>;
  readonly leases: { readonly lease: Lease<number>; readonly item: Item }[];
  loop: AsyncIterator<number> | undefined;
  isReading: boolean;
  /** What it had and the server may not know of, with the turn in which it came. */
  unconfirmed: { readonly item: Item; readonly turn: number }[];
  /** The same when its connection broke, and when that was. */
  kept: { readonly at: number; readonly items: Item[] } | undefined;
  /** The last that it was connected to. */
  server: Server | undefined;
}

interface Call {
  readonly what: string;
  readonly latestMs: number;
  endedMs: number | undefined;
  /** The connection, for its end. */
  blames: string | undefined;
}

class Server {
  private readonly server: QueueServer;
  private readonly handle: Queue;
  isStopping = false;

  constructor(
    descriptor: QueueDescriptor,
    private readonly network: Network,
  ) {
    this.handle = resolveDescriptor(descriptor);
    this.server = new QueueServer({
      queues: { [descriptor.queueId]: this.handle },
      reattachMs: REATTACH_MS,
      rememberMs: REMEMBER_MS,
    });
    const inside = this.server as unknown as { attach: Listener; listener: { close(): void; destroy(): void } };
    // Instead of a socket.
    inside.listener = { close: () => {}, destroy: () => {} };
    network.listener = (call) => inside.attach(call);
  }

  /** A process that dies, with the queue in memory that others keep: what it held goes back, and it does nothing any more. */
  die(): void {
    void this.handle.close();
    this.network.killListener();
  }

  async stop(graceMs: number): Promise<void> {
    this.isStopping = true;
    this.network.listener = undefined;
    await this.server.stop({ graceMs });
    await this.handle.close();
  }
}

let schedules = 0;

class Schedule {
  private readonly descriptor: QueueDescriptor;
  private readonly keeper: Queue<number>;
  private readonly network: Network;
  private server: Server | undefined;
  private readonly programs: Program[] = [];
  private readonly items: Item[] = [];
  private readonly calls: Call[] = [];
  private readonly controllers: AbortController[] = [];
  private readonly signals: AbortSignal[] = [];
  private turn = 0;
  private lateMs = 0;
  /** Nothing breaks, and the loop is on time: then no call may blame the connection. */
  private readonly isCalm: boolean;
  private ports = 0;

  constructor(
    private readonly loop: VirtualLoop,
    private readonly random: Random,
  ) {
    const { below } = random;
    const maxsize = below(3) === 0 ? 4 : 0;
    this.isCalm = below(4) === 0;
    this.descriptor = QueueDescriptor.createLocalQueue(`simulated-${schedules++}`, { maxsize });
    this.keeper = resolveDescriptor<number>(this.descriptor);
    this.network = new Network(
      loop,
      loadGrpc(),
      () => (below(8) === 0 ? below(40) : below(4)),
      () => below(16) === 0,
    );
    this.start();
    for (let count = 1 + below(3); count > 0; count--) this.join();
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.step();
      await this.turnOver();
    }
    await this.end();
    this.check();
  }

  // ── time ─────────────────────────────────────────────────────────────────

  private async turnOver(): Promise<void> {
    const { below } = this.random;
    const isLate = !this.isCalm && below(8) === 0;
    const passed = isLate ? below(below(4) === 0 ? 4000 : 400) : below(below(4) === 0 ? 20 : 3);
    this.lateMs = Math.max(this.lateMs, passed);
    this.loop.now += passed;
    await this.loop.whole();
    this.turn++;
    for (const program of this.programs) this.note(program);
  }

  /** What the server knows now. */
  private note(program: Program): void {
    const link = this.network.linkTo(program.port);
    if (link?.isUp !== true) return;
    const { kept, server } = program;
    program.server = this.server;
    if (server !== undefined && server !== this.server) {
      program.kept = undefined;
      return this.mayComeAgain(program, kept, 'of a server that is gone');
    }
    if (link.unseen > 0) return;
    program.kept = undefined;
    const awayMs = kept === undefined ? 0 : this.loop.now - kept.at;
    if (awayMs >= REATTACH_MS) return this.mayComeAgain(program, kept, `away for ${awayMs} ms`);
    program.unconfirmed = program.unconfirmed.filter(({ turn }) => turn >= this.turn - 2);
  }

  /** Nobody knows any more what it had and had not confirmed. */
  private mayComeAgain(program: Program, kept: Program['kept'], why: string): void {
    const items = [...(kept?.items ?? []), ...program.unconfirmed.splice(0).map(({ item }) => item)];
    for (const item of items) item.again.push(why);
  }

  // ── what happens ─────────────────────────────────────────────────────────

  private step(): void {
    const { below, pick } = this.random;
    const program = pick(this.programs);
    switch (below(24)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return this.put(program);
      case 5:
      case 6:
        return this.putMany(program);
      case 7:
      case 8:
      case 9:
      case 10:
        return this.get(program);
      case 11:
        return this.getMany(program);
      case 12:
      case 13:
        return this.lease(program);
      case 14:
      case 15:
        return this.settle(program);
      case 16:
        return this.read(program);
      case 17:
        return this.ask(program);
      case 18:
        return void this.controllers.splice(below(this.controllers.length), 1)[0]?.abort(new Error('aborted'));
      case 19:
      case 20:
        return this.isCalm ? undefined : this.cut(program);
      case 21:
        return this.isCalm || below(2) === 0 ? this.start() : this.fall();
      case 22:
        return this.start();
      default:
        return below(3) === 0 && this.programs.length < 6 ? this.replace(program) : undefined;
    }
  }

  private start(): void {
    if (this.server === undefined) this.server = new Server(this.descriptor, this.network);
  }

  /** The server dies, or stops. */
  private fall(): void {
    const { server } = this;
    if (server === undefined || server.isStopping) return;
    if (this.random.below(2) === 0) {
      this.server = undefined;
      server.die();
      return this.forgot('the server died while it was put');
    }
    const stopped = server.stop(this.random.below(200)).then(() => {
      this.server = undefined;
      this.forgot('the server stopped while it was put');
    });
    this.track('stop', 0, stopped, () => {});
  }

  /** Nobody knows any more which of the puts on their way it has applied. */
  private forgot(why: string): void {
    for (const item of this.items) if (item.put === 'pending') item.again.push(why);
  }

  private cut(program: Program): void {
    const link = this.network.linkTo(program.port);
    if (link === undefined) return;
    const { below } = this.random;
    link.breakOff({ isLost: below(2) === 0, hearsAfterMs: below(3) === 0 ? below(1000) : 0 });
    const items = program.unconfirmed.map(({ item }) => item);
    program.kept = { at: program.kept?.at ?? this.loop.now, items: [...(program.kept?.items ?? []), ...items] };
    program.unconfirmed = [];
  }

  private join(): void {
    const port = ++this.ports;
    const queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', port, this.descriptor.queueId));
    this.programs.push({
      port,
      queue,
      leases: [],
      loop: undefined,
      isReading: false,
      unconfirmed: [],
      kept: undefined,
      server: undefined,
    });
  }

  private replace(program: Program): void {
    this.track('close', CLOSE_MS, program.queue.close(), () => {});
    this.join();
  }

  // ── calls ────────────────────────────────────────────────────────────────

  private options(): { timeoutMs?: number; signal?: AbortSignal } {
    const { below } = this.random;
    const timeoutMs = [undefined, undefined, 0, below(20), below(2000), 60_000][below(6)];
    if (below(3) > 0) return { timeoutMs };
    const controller = new AbortController();
    this.controllers.push(controller);
    this.signals.push(controller.signal);
    return { timeoutMs, signal: controller.signal };
  }

  private track<R>(
    what: string,
    timeoutMs: number | undefined,
    promise: Promise<R>,
    then: (value: R) => void,
    failed: (error: { outcome?: unknown; accepted?: number; message: string }) => void = () => {},
  ): void {
    const latestMs = this.loop.now + (timeoutMs === undefined ? Infinity : timeoutMs === 0 ? ANSWER_MS : timeoutMs);
    const call: Call = { what, latestMs, endedMs: undefined, blames: undefined };
    this.calls.push(call);
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
    return this.items.push({ put: 'pending', had: [], perhaps: 0, again: [], error: undefined }) - 1;
  }

  private put({ queue }: Program): void {
    const number = this.item();
    const item = this.items[number]!;
    const options = this.options();
    this.track(
      'put',
      options.timeoutMs,
      queue.put(number, options),
      () => (item.put = 'in'),
      (error) => this.failed(item, error, options.signal),
    );
  }

  private putMany({ queue }: Program): void {
    const numbers = Array.from({ length: 1 + this.random.below(6) }, () => this.item());
    const options = this.options();
    const tell = (accepted: number): void =>
      numbers.slice(0, accepted).forEach((number) => (this.items[number]!.put = 'in'));
    this.track('putMany', options.timeoutMs, queue.putMany(numbers, options), tell, (error) => {
      const { accepted = 0 } = error;
      tell(accepted);
      for (const number of numbers.slice(accepted)) this.failed(this.items[number]!, error, options.signal);
    });
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

  private get(program: Program): void {
    const options = this.options();
    this.track('get', options.timeoutMs, program.queue.get(options), (number) => this.has('get', program, number));
  }

  private getMany(program: Program): void {
    const options = this.options();
    const call = program.queue.getMany(1 + this.random.below(5), options);
    this.track('getMany', options.timeoutMs, call, (numbers) =>
      numbers.forEach((one) => this.has('getMany', program, one)),
    );
  }

  private lease(program: Program): void {
    const options = this.options();
    const call = program.queue.leaseMany(1 + this.random.below(3), options);
    this.track('leaseMany', options.timeoutMs, call, ({ leases }) => {
      for (const lease of leases) program.leases.push({ lease, item: this.items[lease.item]! });
    });
  }

  private settle(program: Program): void {
    const { leases } = program;
    const [held] = leases.splice(this.random.below(leases.length || 1), 1);
    if (held === undefined) return;
    const { lease, item } = held;
    if (this.random.below(3) === 0) return this.track('release', 0, lease.release(), () => {});
    this.track(
      'ack',
      0,
      lease.ack(),
      () => this.tellHad('ack', program, item),
      ({ message }) => {
        if (message.includes('outcome is unknown')) item.perhaps++;
      },
    );
  }

  /** A loop takes a step, or is left. */
  private read(program: Program): void {
    if (program.isReading) return;
    if (program.loop !== undefined && this.random.below(4) === 0) {
      this.track('return', 0, program.loop.return!(), () => {});
      program.loop = undefined;
      return;
    }
    program.loop ??= program.queue[Symbol.asyncIterator]();
    const { loop } = program;
    program.isReading = true;
    const stepped = (): void => {
      program.isReading = false;
    };
    const step = loop.next();
    this.track(
      'next',
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

  private ask({ queue }: Program): void {
    const { below } = this.random;
    if (below(2) === 0) return this.track('qsize', 0, queue.qsize(), () => {});
    const { timeoutMs, signal } = this.options();
    this.track('join', timeoutMs, queue.join({ timeoutMs, signal }), () => {});
  }

  /** It is, or has no reason to be. */
  private isConnected(port: number): boolean {
    const link = this.network.linkTo(port);
    return link === undefined || (link.isUp && link.unseen === 0);
  }

  // ── the end ──────────────────────────────────────────────────────────────

  private async end(): Promise<void> {
    const { loop } = this;
    // The network is as it should be, and nothing is late any more.
    if (this.server?.isStopping === true) await loop.advance(loop.now + CLOSE_MS, () => this.server === undefined);
    this.start();
    await loop.advance(loop.now + BACK_MS);
    for (let turns = 0; turns < 3; turns++) {
      for (const program of this.programs) this.note(program);
      await loop.advance(loop.now + BACK_MS, () => this.programs.every(({ port }) => this.isConnected(port)));
      await loop.advance(loop.now + 50);
    }
    const isWaiting = this.calls.some(({ what, endedMs }) => endedMs === undefined && GETS.includes(what));
    const isIdle = (await loop.outcome(this.keeper.qsize())) === 0;
    assert(isIdle || !isWaiting, 'somebody waits beside an item');
    // But for what was read ahead.
    if (this.programs.every((program) => program.loop === undefined)) {
      const { leased } = await loop.outcome(this.keeper.stats());
      const held = this.programs.reduce((sum, { leases }) => sum + leases.length, 0);
      assert(leased! <= held, `${leased} items are on lease, and programs have ${held}`);
    }
    const began = loop.now;
    const closing = Promise.all(this.programs.map(({ queue }) => queue.close()));
    let closed = false;
    void closing.then(() => (closed = true));
    await loop.advance(began + CLOSE_MS, () => closed);
    assert(closed, `close() takes longer than ${CLOSE_MS} ms`);
    await loop.idle();
    const open = this.calls.filter(({ endedMs }) => endedMs === undefined).map(({ what }) => what);
    assert.deepEqual(open, [], 'every call ends, with its handle if not before');
    const { server } = this;
    this.server = undefined;
    server!.die();
    for (const program of this.programs) this.mayComeAgain(program, program.kept, 'never confirmed');
    await loop.advance(loop.now + GRACE_MS);
    assert.equal(loop.armed, 0, 'no timer is left');
    assert.equal(loop.pending, 0, 'nothing is on its way');
    for (const signal of this.signals)
      assert.equal(getEventListeners(signal, 'abort').length, 0, 'no listener is left');
    assert(!channel('net.client.socket').hasSubscribers, 'nobody looks at sockets any more');
    const { leased } = await loop.outcome(this.keeper.stats());
    assert.equal(leased, 0, 'nothing is on lease');
    const left = await loop.outcome(this.keeper.getMany(Infinity, { block: false }).catch(() => []));
    for (const number of left) this.items[number]!.had.push('left');
    await this.keeper.close();
  }

  private check(): void {
    for (const { what, latestMs, endedMs, blames } of this.calls) {
      if (this.isCalm) assert.equal(blames, undefined, `${what} blames a connection that nothing ailed`);
      const late = endedMs! - latestMs - 4 * this.lateMs;
      assert(late <= GRACE_MS, `${what} ends ${late} ms after its time`);
    }
    this.items.forEach(({ put, had, perhaps, again, error }, number) => {
      const story = `item ${number}, put: ${put}, had: ${had.join(', ')}; perhaps ${perhaps} more; ${again.join(', ')}; ${error}`;
      assert.notEqual(put, 'pending', story);
      const got = had.length;
      if (put === 'out') assert.equal(got + perhaps, 0, `of which it was said that it is not in: ${story}`);
      if (put === 'in') assert(got + perhaps >= 1, `lost: ${story}`);
      assert(got <= 1 + again.length, `there twice: ${story}`);
    });
  }
}

test('whatever breaks, nothing is lost, nothing is doubled but what may be, and every call ends', async () => {
  const random = seeded('schedules of rpc clients');
  const loop = new VirtualLoop();
  const uninstall = loop.install();
  const { random: jitter } = Math;
  Math.random = () => random.below(2 ** 32) / 2 ** 32;
  const began = process.cpuUsage();
  try {
    for (let schedule = 0; schedule < SCHEDULES; schedule++) {
      try {
        await new Schedule(loop, random).run();
      } catch (error) {
        (error as Error).message += ` (schedule ${schedule})`;
        throw error;
      }
    }
  } finally {
    Math.random = jitter;
    uninstall();
    const seconds = (process.cpuUsage(began).user + process.cpuUsage(began).system) / 1e6;
    console.info(`${Math.round(SCHEDULES / seconds)} schedules a second`);
  }
});

test('a put that a server took before it died, and that is called off at the next one, may be in', async () => {
  const loop = new VirtualLoop();
  const uninstall = loop.install();
  try {
    const descriptor = QueueDescriptor.createLocalQueue('simulated-full', { maxsize: 1 });
    const keeper = resolveDescriptor<number>(descriptor);
    const network = new Network(
      loop,
      loadGrpc(),
      () => 5,
      () => false,
    );
    const first = new Server(descriptor, network);
    const queue = new RpcQueue<number>(QueueDescriptor.createRpcQueue('127.0.0.1', 1, descriptor.queueId));
    const put = queue.put(7).catch((error: unknown) => error);
    let size = 0;
    while (size === 0) {
      await loop.advance(loop.now + 1);
      size = await loop.outcome(keeper.qsize());
    }
    first.die();
    const next = new Server(descriptor, network);
    // It waits for room there.
    await loop.advance(loop.now + 200);
    const closed = queue.close();
    await loop.advance(loop.now + 100);
    await loop.outcome(closed);
    expect(await loop.outcome(put)).toMatchObject({ code: 'ERR_QUEUE_CLOSED', outcome: 'unknown' });
    expect(await loop.outcome(keeper.get())).toBe(7);
    next.die();
    await keeper.close();
    await loop.advance(loop.now + GRACE_MS);
    expect(loop.armed).toBe(0);
  } finally {
    uninstall();
  }
});
