/**
 * What the server is told of the items it delivered: that they are the program's, or go back. Kept until it has answered, and told again
 * when the connection breaks before that.
 */
import type { LeaseEnd } from '../../../queue/lease-table';
import { covers, toNumber } from '../wire/protocol';
import type { ClientFrame, Opened, Settle, Settled } from '../wire/protocol';
import type { Connection } from './connection';

/** done: it took effect. lost: it did not, since the items had gone back. unknown: the server that was asked is gone. */
export type SettleResult = 'done' | 'lost' | 'unknown';

interface OpenSettle {
  message: Settle & { settle: number; tag: number; count: number };
  answered: (result: SettleResult, count: number) => void;
  sentAt: number;
}

export class PendingSettles {
  private readonly open = new Map<number, OpenSettle>();
  private unsent: OpenSettle[] = [];
  private next = 1;
  /** How long the server takes to answer, in ms, as far as known: the last times count most. */
  roundTripMs = 1;

  constructor(private readonly connection: Connection) {}

  get busy(): boolean {
    return this.open.size > 0;
  }

  /** For Open, which tells them all. */
  takeUnanswered(): Settle[] {
    this.unsent = [];
    return [...this.open.values()].map(({ message }) => message);
  }

  settle(tag: number, count: number, how: LeaseEnd, answered: (result: SettleResult, count: number) => void): void {
    const message = { settle: this.next++, tag, count, release: how !== 'ack', unseen: how === 'undo' };
    const settle = { message, answered, sentAt: 0 };
    this.open.set(settle.message.settle, settle);
    this.unsent.push(settle);
    this.connection.scheduleFlush();
  }

  /** The item is the program's. Together with its neighbours where these are told in the same way and have not left yet. */
  ack(tag: number, answered: (result: SettleResult, count: number) => void): void {
    const last = this.unsent[this.unsent.length - 1];
    if (last?.answered === answered && !last.message.release && last.message.tag + last.message.count === tag)
      last.message.count++;
    else this.settle(tag, 1, 'ack', answered);
  }

  /** Calls back once the server has handled everything that was sent before. */
  barrier(reached: () => void): void {
    this.settle(0, 0, 'ack', (result) => result === 'done' && reached());
  }

  collect(frame: ClientFrame): void {
    if (this.unsent.length === 0) return;
    const now = performance.now();
    frame.settles = this.unsent.map((settle) => {
      settle.sentAt = now;
      return settle.message;
    });
    const first = this.open.keys().next();
    frame.settles[0]!.knownSettles = (first.done === true ? this.next : first.value) - 1;
    this.unsent = [];
  }

  onSettled(settled: Settled): void {
    const [last] = (settled.done ?? []).slice(-1);
    const sentAt = last === undefined ? undefined : this.open.get(toNumber(last))?.sentAt;
    if (sentAt !== undefined) this.roundTripMs += (performance.now() - sentAt - this.roundTripMs) / 4;
    for (const number of settled.done ?? []) this.answer(toNumber(number), 'done');
    for (const number of settled.lost ?? []) this.answer(toNumber(number), 'lost');
  }

  /** @param sameInstance whether it is the server that was asked */
  onOpened(opened: Opened, sameInstance: boolean): void {
    const settled = new Set((opened.settled ?? []).map(toNumber));
    const known = sameInstance && opened.remembered === true;
    // What has come since we asked is told now, if it is of what the server still has for us.
    this.unsent = this.unsent.filter(({ message }) => covers(opened.held ?? [], toNumber(message.tag)));
    const late = new Set(this.unsent.map(({ message }) => message.settle));
    for (const number of [...this.open.keys()])
      if (!late.has(number)) this.answer(number, known ? (settled.has(number) ? 'done' : 'lost') : 'unknown');
  }

  /** No answer will come any more. */
  endAll(): void {
    for (const number of [...this.open.keys()]) this.answer(number, 'unknown');
  }

  private answer(number: number, result: SettleResult): void {
    const open = this.open.get(number);
    this.open.delete(number);
    open?.answered(result, open.message.count);
  }
}
