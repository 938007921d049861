/**
 * Random schedules of a line of waiting calls on a clock of the test's own: items that come with and without a word, timeouts, signals,
 * handles that close, in a loop that is late by any time.
 */
import assert from 'node:assert/strict';
import { CallGroup, CallLine } from '../../lib/wait/call-line';
import { runSchedules } from './run-schedules';
import type { VirtualClock } from './virtual-clock';

const STEPS = 24;

interface Standing {
  readonly number: number;
  readonly deadline: number;
  readonly controller: AbortController | undefined;
  readonly group: CallGroup;
  /** Its time is over; it may take a last look yet. */
  late: boolean;
  /** How it has to end: known before its promise tells it. */
  ended: 'item' | 'aborted' | 'closed' | 'late' | undefined;
  told: string | undefined;
}

class Schedule {
  private readonly calls: Standing[] = [];
  private items = 0;
  private taken = 0;
  private came = 0;
  private readonly groups = [new CallGroup(), new CallGroup()];
  private readonly line = new CallLine('get', () => {});

  constructor(
    private readonly clock: VirtualClock,
    private readonly random: (limit: number) => number,
  ) {}

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.step();
      assert(this.line.waiting === this.open.length, 'those that wait are those that have not ended');
    }
    for (const call of this.open) call.ended = 'closed';
    this.line.giveUp(() => new Error('closed'));
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
    for (const { number, ended, told } of this.calls) {
      assert.equal(told, ended, `call ${number}`);
    }
    assert.equal(
      this.taken,
      this.calls.filter(({ told }) => told === 'item').length,
      'an item for each call that says so',
    );
    assert.equal(this.items + this.taken, this.came, 'no item is lost');
    assert.equal(this.clock.armed, 0, 'no timer is left');
    for (const { calls } of this.groups) assert.equal(calls.size, 0, 'no handle remembers a call');
  }

  private get open(): Standing[] {
    return this.calls.filter(({ ended }) => ended === undefined);
  }

  private step(): void {
    switch (this.random(8)) {
      case 0:
      case 1:
        return this.stand();
      case 2: // an item comes, and somebody says so
        this.come();
        return this.serve();
      case 3: // … or nobody does
        return this.come();
      case 4:
        return this.serve();
      case 5: // the loop was busy for this long
        this.clock.now += this.random(3) === 0 ? this.random(1000) : this.random(8);
        return this.timers();
      case 6: {
        const { open } = this;
        const call = open[this.random(open.length || 1)];
        if (call?.controller === undefined) return;
        call.ended = 'aborted';
        return call.controller.abort(new Error('aborted'));
      }
      default:
        return this.random(4) === 0 ? this.close() : undefined;
    }
  }

  private come(): void {
    this.items++;
    this.came++;
  }

  private stand(): void {
    const timeoutMs = this.random(2) === 0 ? Infinity : 1 + this.random(20);
    const controller = this.random(2) === 0 ? new AbortController() : undefined;
    const group = this.groups[this.random(2)]!;
    const call: Standing = {
      number: this.calls.length,
      deadline: this.clock.now + timeoutMs,
      controller,
      group,
      late: false,
      ended: undefined,
      told: undefined,
    };
    this.calls.push(call);
    const attempt = (): { value: string } | undefined => {
      const first = this.open.find((one) => !one.late || one === call);
      assert.equal(first, call, 'only the first of those that have not ended is tried');
      if (this.items === 0) return undefined;
      this.items--;
      this.taken++;
      call.ended = 'item';
      return { value: 'item' };
    };
    const late = (): Error => {
      call.late = true;
      return new Error('late');
    };
    this.line.add({ wait: { timeoutMs, signal: controller?.signal }, attempt, late, group }).then(
      (value) => this.tell(call, value),
      (error: Error) => this.tell(call, error.message),
    );
  }

  private tell(call: Standing, told: string): void {
    assert.equal(call.told, undefined, `call ${call.number} ends twice`);
    call.told = told;
  }

  private serve(): void {
    const state = this.line.serve();
    assert(this.items === 0 || this.open.length === 0, 'somebody waits beside an item');
    assert.equal(state, this.open.length === 0 ? 'idle' : 'wanted');
  }

  /** The loop comes to its timers. Who is late and stands first gets what it waits for, should nobody have told it; others do not. */
  private timers(): void {
    const due = this.open.filter(({ deadline }) => deadline <= this.clock.now);
    const left = new Set(this.open);
    let { items } = this;
    const served = new Set<Standing>();
    for (const call of due.sort((one, other) => one.deadline - other.deadline)) {
      if (items > 0 && left.values().next().value === call) {
        items--;
        served.add(call);
      }
      left.delete(call);
    }
    this.clock.turn();
    for (const call of this.open)
      assert.equal(call.late, due.includes(call), 'nobody is told early that its time is over, or never');
    for (const call of due) {
      assert.equal(call.ended === 'item', served.has(call), `call ${call.number} is late`);
      call.ended ??= 'late';
    }
  }

  private close(): void {
    const group = this.groups[this.random(2)]!;
    for (const call of this.open) if (call.group === group) call.ended = 'closed';
    group.giveUp(() => new Error('closed'));
    assert.equal(group.calls.size, 0);
  }
}

void runSchedules('waiting calls', 6000, (loop, { below }) => new Schedule(loop, below).run());
