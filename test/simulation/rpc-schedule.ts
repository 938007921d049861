/** One schedule: what programs, networks and servers do, step by step, and how it has to have ended. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { channel } from 'node:diagnostics_channel';
import { QueueDescriptor, resolveDescriptor } from '../../lib';
import type { Queue } from '../../lib';
import { RpcQueue } from '../../lib/transports/rpc/client/rpc-queue';
import { loadGrpc } from '../../lib/transports/rpc/wire/grpc';
import type { Random } from '../random';
import { Calls, GRACE_MS } from './rpc-calls';
import type { Program } from './rpc-calls';
import { drawKinds, drawSteps } from './kinds';
import { REATTACH_MS, Server } from './simulated-server';
import { Network } from './streams';
import type { VirtualLoop } from './virtual-clock';

const OFTEN = {
  put: 60,
  putMany: 24,
  get: 48,
  getMany: 12,
  lease: 24,
  settle: 24,
  read: 12,
  write: 12,
  refer: 6,
  ask: 12,
  abort: 12,
  cut: 24,
  fall: 6,
  start: 18,
  replace: 4,
  'shut down': 2,
};
const CLOSE_MS = 2000 + 2000;
/** The longest pause before it tries to connect again, and its way. */
const BACK_MS = 1000 + 100;
/** A server hears of a cut so much later at most. */
const HEARS_MS = 1000;

let schedules = 0;

export class Schedule {
  private readonly descriptor: QueueDescriptor;
  private readonly keeper: Queue<number>;
  private readonly network: Network;
  private readonly calls: Calls;
  private server: Server | undefined;
  private readonly programs: Program[] = [];
  private lateMs = 0;
  /** Nothing breaks, and the loop is on time. */
  private readonly isCalm: boolean;
  private readonly drawKind: () => keyof typeof OFTEN;
  private ports = 0;

  constructor(
    private readonly loop: VirtualLoop,
    private readonly random: Random,
  ) {
    const { below } = random;
    this.calls = new Calls(loop, random);
    const maxsize = below(3) === 0 ? 4 : 0;
    this.isCalm = below(4) === 0;
    this.drawKind = drawKinds(random, OFTEN);
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
    for (let steps = drawSteps(this.random); steps > 0; steps--) {
      this.step();
      await this.turnOver();
    }
    await this.end();
    this.calls.check(this.isCalm, this.lateMs);
  }

  // ── time ─────────────────────────────────────────────────────────────────

  private async turnOver(): Promise<void> {
    const { below } = this.random;
    const isLate = !this.isCalm && below(8) === 0;
    const passed = isLate ? below(below(4) === 0 ? 4000 : 400) : below(below(4) === 0 ? 20 : 3);
    this.lateMs = Math.max(this.lateMs, passed);
    this.loop.now += passed;
    await this.loop.whole();
    this.calls.turn++;
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
    program.unconfirmed = program.unconfirmed.filter(({ turn }) => turn >= this.calls.turn - 2);
  }

  /** Nobody knows any more what it had and had not confirmed. */
  private mayComeAgain(program: Program, kept: Program['kept'], why: string): void {
    const items = [...(kept?.items ?? []), ...program.unconfirmed.splice(0).map(({ item }) => item)];
    for (const item of items) item.again.push(why);
  }

  // ── what happens ─────────────────────────────────────────────────────────

  private step(): void {
    const { calls } = this;
    const { below, pick } = this.random;
    const program = pick(this.programs);
    switch (this.drawKind()) {
      case 'put':
        return calls.put(program);
      case 'putMany':
        return calls.putMany(program);
      case 'get':
        return calls.get(program);
      case 'getMany':
        return calls.getMany(program);
      case 'lease':
        return calls.lease(program);
      case 'settle':
        return calls.settle(program);
      case 'read':
        return calls.read(program);
      case 'write':
        return calls.write(program);
      case 'refer':
        return calls.refer(program);
      case 'ask':
        return calls.ask(program);
      case 'abort':
        return void calls.controllers.splice(below(calls.controllers.length), 1)[0]?.abort(new Error('aborted'));
      case 'cut':
        return this.isCalm ? undefined : this.cut(program);
      case 'fall':
        return this.isCalm ? undefined : this.fall();
      case 'start':
        return this.start();
      case 'replace':
        return this.programs.length < 6 ? this.replace(program) : undefined;
      case 'shut down':
        return calls.shutDown(program);
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
    this.calls.track('stop', undefined, 0, stopped, () => {});
  }

  /** Nobody knows any more which of the puts on their way it has applied. */
  private forgot(why: string): void {
    for (const item of this.calls.items) if (item.put === 'pending') item.again.push(why);
  }

  private cut(program: Program): void {
    const link = this.network.linkTo(program.port);
    if (link === undefined) return;
    const { below } = this.random;
    link.breakOff({ isLost: below(2) === 0, hearsAfterMs: below(3) === 0 ? below(HEARS_MS) : 0 });
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
      writer: undefined,
      isWriting: false,
      isReferenced: true,
      unconfirmed: [],
      kept: undefined,
      server: undefined,
    });
  }

  private replace(program: Program): void {
    this.calls.track('close', program, CLOSE_MS, program.queue.close(), () => {});
    this.join();
  }

  /** It is, or has no reason to be. */
  private isConnected(port: number): boolean {
    const link = this.network.linkTo(port);
    return link === undefined || (link.isUp && link.unseen === 0);
  }

  // ── the end ──────────────────────────────────────────────────────────────

  private async end(): Promise<void> {
    const { loop, calls } = this;
    // The network is as it should be, and nothing is late any more.
    if (this.server?.isStopping === true) await loop.advance(loop.now + CLOSE_MS, () => this.server === undefined);
    this.start();
    // … and what a client had that is gone is given back.
    await loop.advance(loop.now + BACK_MS + HEARS_MS + REATTACH_MS);
    for (let turns = 0; turns < 3; turns++) {
      for (const program of this.programs) this.note(program);
      await loop.advance(loop.now + BACK_MS, () => this.programs.every(({ port }) => this.isConnected(port)));
      await loop.advance(loop.now + 50);
    }
    const isEmpty = (await loop.outcome(this.keeper.qsize())) === 0;
    assert(isEmpty || !calls.isWaiting, 'somebody waits beside an item');
    const { leased: onLease } = await loop.outcome(this.keeper.stats());
    if (calls.isShutDown && isEmpty && onLease === 0)
      assert(!calls.isWaiting, 'somebody waits at a queue that has ended');
    // But for what was read ahead.
    if (this.programs.every((program) => program.loop === undefined)) {
      const { leased } = await loop.outcome(this.keeper.stats());
      const held = this.programs.reduce((sum, { leases }) => sum + leases.length, 0);
      assert(leased! <= held, `${leased} items are on lease, and programs have ${held}`);
    }
    assert.equal(loop.isHeld, calls.isKeeping, 'the process is held for those who wait, and for nothing else');
    const began = loop.now;
    const closing = Promise.all(this.programs.map(({ queue }) => queue.close()));
    let closed = false;
    void closing.then(() => (closed = true));
    await loop.advance(began + CLOSE_MS, () => closed);
    assert(closed, `close() takes longer than ${CLOSE_MS} ms`);
    await loop.idle();
    assert.deepEqual(calls.open, [], 'every call ends, with its handle if not before');
    const { server } = this;
    this.server = undefined;
    server!.die();
    for (const program of this.programs) this.mayComeAgain(program, program.kept, 'never confirmed');
    await loop.advance(loop.now + GRACE_MS);
    assert.equal(loop.armed, 0, 'no timer is left');
    assert.equal(loop.pending, 0, 'nothing is on its way');
    for (const signal of calls.signals)
      assert.equal(getEventListeners(signal, 'abort').length, 0, 'no listener is left');
    assert(!channel('net.client.socket').hasSubscribers, 'nobody looks at sockets any more');
    const { leased } = await loop.outcome(this.keeper.stats());
    assert.equal(leased, 0, 'nothing is on lease');
    const left = await loop.outcome(this.keeper.getMany(Infinity, { block: false }).catch(() => []));
    for (const number of left) calls.items[number]!.had.push('left');
    await this.keeper.close();
  }
}
