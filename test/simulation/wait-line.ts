/**
 * Random schedules of a line of waiting calls on a clock of the test's own: items that come with and without a word, some of them bad, calls
 * that keep their place, step aside and may pass, tries that end themselves or others, timeouts, signals (of which some have fired before
 * their call stands in line), handles that close, in a loop that is late by any time.
 */
import assert from 'node:assert/strict';
import { ASIDE, CallGroup, CallLine, HOLDS } from '../../lib/wait/call-line';
import type { LineState } from '../../lib/wait/call-line';
import type { Random } from '../random';
import { drawKinds, drawSteps } from './kinds';
import { runSchedules } from './run-schedules';
import type { VirtualClock } from './virtual-clock';

const OFTEN = { stand: 16, 'stand on': 8, wish: 12, serve: 16, come: 8, 'come untold': 8, wait: 8, abort: 8, close: 2 };

/** What a call that stands on wants of the line: an item, its place, to be passed, or nothing more. */
type Wish = 'item' | 'holds' | 'aside' | 'done';

interface Standing {
  readonly number: number;
  readonly deadline: number;
  readonly controller: AbortController | undefined;
  readonly group: CallGroup;
  /** Undefined: an item, and nothing else. */
  wish: Wish | undefined;
  /** What its last try said. */
  state: LineState;
  /** What its next try does beside. */
  mischief: 'aborts' | 'closes' | undefined;
  /** Its time is over; it may take a last look yet. */
  late: boolean;
  /** How it has to end: known before its promise tells it. */
  ended: 'item' | 'bad' | 'done' | 'aborted' | 'closed' | 'late' | undefined;
  told: string | undefined;
}

const hasItem = ({ told }: Standing): boolean => told === 'item' || told === 'bad';

class Schedule {
  private readonly calls: Standing[] = [];
  /** Whether each is a good one. */
  private readonly items: boolean[] = [];
  private came = 0;
  private readonly groups = [new CallGroup(), new CallGroup()];
  private readonly line = new CallLine('get', () => {});
  private readonly drawKind: () => keyof typeof OFTEN;
  /** Calls that take only an item and ended in a try of their own since `serve` was called. */
  private servedPlain = 0;
  private isRinging = false;

  constructor(
    private readonly clock: VirtualClock,
    private readonly random: Random,
  ) {
    this.drawKind = drawKinds(random, OFTEN);
  }

  async run(): Promise<void> {
    for (let steps = drawSteps(this.random); steps > 0; steps--) {
      this.step();
      // A signal that had fired before its call stood in line ends it as soon as this.
      await Promise.resolve();
      const waiting = this.open.filter(({ state }) => state === undefined);
      assert.equal(this.line.waiting, waiting.length, 'those that wait are those that have not ended');
      assert.equal(this.line.isTaken, this.first !== undefined);
      assert.equal(this.line.isWanted, this.first !== undefined && this.first.state === undefined);
    }
    for (const call of this.open) call.ended = 'closed';
    this.line.giveUp(() => new Error('closed'));
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
    for (const { number, ended, told } of this.calls) assert.equal(told, ended, `call ${number}`);
    assert.equal(
      this.items.length + this.calls.filter(hasItem).length,
      this.came,
      'an item for each call that says so',
    );
    assert.equal(this.clock.armed, 0, 'no timer is left');
    for (const { calls } of this.groups) assert.equal(calls.size, 0, 'no handle remembers a call');
  }

  private get open(): Standing[] {
    return this.calls.filter(({ ended }) => ended === undefined);
  }

  private get first(): Standing | undefined {
    return this.open.find(({ state }) => state !== ASIDE);
  }

  private step(): void {
    const { below, pick } = this.random;
    const { open } = this;
    const call = open[below(open.length || 1)];
    switch (this.drawKind()) {
      case 'stand':
        return this.stand(undefined);
      case 'stand on':
        return this.stand(pick(['item', 'holds', 'aside']));
      case 'wish': // of one that stands on
        if (call?.wish !== undefined) call.wish = pick(['item', 'holds', 'aside', 'done', 'done']);
        return;
      case 'come':
        this.come();
        return this.serve();
      case 'come untold':
        return this.come();
      case 'serve':
        return this.serve();
      case 'wait': // the loop was busy for this long
        this.clock.now += below(3) === 0 ? below(1000) : below(8);
        return this.timers();
      case 'abort':
        if (call?.controller === undefined) return;
        call.ended = 'aborted';
        return call.controller.abort(new Error('aborted'));
      case 'close':
        return this.close(pick(this.groups));
    }
  }

  private come(): void {
    this.items.push(this.random.below(8) > 0);
    this.came++;
  }

  /** @param wish of a call that stands on, whose time is its own affair; undefined: it waits for an item, for as long as it may */
  private stand(wish: Wish | undefined): void {
    const { below, pick } = this.random;
    const timeoutMs = wish !== undefined || below(2) === 0 ? Infinity : 1 + below(20);
    const controller = below(2) === 0 ? new AbortController() : undefined;
    const states = { item: undefined, done: undefined, holds: HOLDS, aside: ASIDE } as const;
    const call: Standing = {
      number: this.calls.length,
      deadline: this.clock.now + timeoutMs,
      controller,
      group: pick(this.groups),
      wish,
      state: wish === undefined ? undefined : states[wish],
      mischief: pick([undefined, undefined, undefined, 'aborts', 'closes']),
      late: false,
      ended: undefined,
      told: undefined,
    };
    this.calls.push(call);
    const late = (): Error => {
      call.late = true;
      return new Error('late');
    };
    const attempt = (): { value: string } | LineState => this.attempt(call);
    const mayPass = wish === undefined ? undefined : (): boolean => call.wish === 'done';
    const { group } = call;
    if (controller !== undefined && below(8) === 0) {
      controller.abort(new Error('aborted'));
      call.ended = 'aborted';
    }
    const wait = { timeoutMs, signal: controller?.signal };
    const request = { wait, attempt, late, group, ...(mayPass === undefined ? {} : { mayPass }) };
    this.line.add(request, call.state).then(
      (value) => this.tell(call, value),
      (error: Error) => this.tell(call, error.message),
    );
  }

  /** What a try runs is the program's own, which may end its call, or close its handle. */
  private attempt(call: Standing): { value: string } | LineState {
    const front = this.first;
    // One that passes only says that it is over; which calls a turn of the timers ends is foretold.
    const isTame = call.wish === 'done' || (this.isRinging && call.mischief === 'closes');
    const mischief = isTame ? undefined : call.mischief;
    call.mischief = undefined;
    const isNext = this.open.every((one) => one.number >= call.number || one.state === ASIDE || one.late);
    assert(isNext || call.wish === 'done', `call ${call.number} is tried before ${front?.number}`);
    if (mischief === 'closes') this.close(call.group, call);
    if (mischief === 'aborts') call.controller?.abort(new Error('aborted'));
    const spoiled = mischief === 'closes' ? 'closed' : call.controller?.signal.aborted === true ? 'aborted' : undefined;
    call.state = call.wish === 'holds' ? HOLDS : call.wish === 'aside' ? ASIDE : undefined;
    if (call.wish === 'done') call.ended = 'done';
    else if (call.state === undefined && this.items.length > 0) call.ended = this.items.shift()! ? 'item' : 'bad';
    else call.ended = spoiled;
    if (call.ended !== undefined && call.wish === undefined) this.servedPlain++;
    if (call.ended === 'bad') throw new Error('bad');
    return call.ended === 'item' || call.ended === 'done' ? { value: call.ended } : call.state;
  }

  private tell(call: Standing, told: string): void {
    assert.equal(call.told, undefined, `call ${call.number} ends twice`);
    call.told = told;
  }

  private serve(): void {
    const limit = this.random.pick([Infinity, Infinity, 1, 2]);
    let state: ReturnType<CallLine['serve']>;
    do {
      this.servedPlain = 0;
      state = this.line.serve(limit);
      assert(this.servedPlain <= limit, `${this.servedPlain} are served, and ${limit} were to be`);
    } while (state === 'more');
    const { first } = this;
    assert(this.items.length === 0 || first === undefined || first.state === HOLDS, 'somebody waits beside an item');
    assert(!this.open.some(({ wish }) => wish === 'done'), 'one that may pass is kept waiting');
    assert.equal(state, first === undefined || first.state === HOLDS ? 'idle' : 'wanted');
  }

  /** The loop comes to its timers. Who is late and stands first gets what it waits for, should nobody have told it; others do not. */
  private timers(): void {
    const due = this.open.filter(({ deadline }) => deadline <= this.clock.now);
    const left = new Set(this.open);
    let items = this.items.length;
    const served = new Set<Standing>();
    for (const call of due.sort((one, other) => one.deadline - other.deadline)) {
      const first = [...left].find(({ state }) => state !== ASIDE);
      if (items > 0 && first === call) {
        items--;
        served.add(call);
      }
      left.delete(call);
    }
    this.isRinging = true;
    this.clock.turn();
    this.isRinging = false;
    for (const call of this.open)
      assert.equal(call.late, due.includes(call), 'nobody is told early that its time is over, or never');
    for (const call of due) {
      assert.equal(call.ended === 'item' || call.ended === 'bad', served.has(call), `call ${call.number} is late`);
      call.ended ??= 'late';
    }
  }

  /** @param trying closes it in a try of its own, and has what that brings it */
  private close(group: CallGroup, trying?: Standing): void {
    for (const call of this.open) if (call.group === group && call !== trying) call.ended = 'closed';
    group.giveUp(() => new Error('closed'));
    assert.equal(group.calls.size, trying === undefined ? 0 : 1);
  }
}

void runSchedules('waiting calls', 6000, (loop, random) => new Schedule(loop, random).run());
