/**
 * What the program has, or may have seen, of the items that were read ahead or lie in streams: told to the server one by one, and no more of
 * them at a time than the window that client and server agree on.
 */
import type { ItemBatch } from '../wire/item-batch';
import type { Connection } from './connection';
import type { PendingSettles, SettleResult } from './pending-settles';
import type { ReadAhead } from './read-ahead';

/** A program that takes nothing for so long is working on what it has: nothing more counts as shown then. At least, and in round trips. */
const IDLE_MS = 5;
const IDLE_ROUND_TRIPS = 4;

/** One item in a stream. */
export interface Held {
  readonly tag: number;
  /** It was read ahead. */
  readonly ahead: boolean;
  readonly items: ItemBatch;
  /** Which one of them. */
  readonly index: number;
  /** The handle was closed, and it went back: whoever takes it from its stream all the same is told. */
  isBack: boolean;
  /** The server was told that it is ours, and has not answered. */
  isClaimed: boolean;
}

export class ShownItems {
  /** In streams, on their way to the program, and the server's until they leave. */
  private readonly held = new Set<Held>();
  /** The same, since the connection broke: nobody could tell whether the program had them, and they are ours. */
  private readonly ours = new Set<Held>();
  /** Those of them that nobody wants, and of which the server has not said whether they are. */
  private readonly unwanted = new Set<Held>();
  /** About to be put back. */
  private back: Held[] = [];
  /** The wider window that the server was told of and has not agreed to. */
  private widening = false;
  /** To be told to the server. */
  private newWindow: number | undefined;
  private idleTimer: NodeJS.Timeout | undefined;
  private confirmed = this.confirmation();

  constructor(
    private readonly connection: Connection,
    private readonly settles: PendingSettles,
    private readonly ahead: ReadAhead,
    /** More may be shown. */
    private readonly onMore: () => void,
    /** Takes items that are ours but that the program does not want, and sees to it that they come first again. */
    private readonly requeue: (items: ItemBatch) => void,
  ) {}

  /** The program has one that was read ahead. */
  confirm(tag: number): void {
    this.settles.ack(tag, this.confirmed);
  }

  /** An item that waits in a stream: it is acknowledged when it leaves, and goes back when the stream goes first. `endHeld` ends it. */
  hold(held: Held): void {
    this.held.add(held);
  }

  endHeld(held: Held, release: boolean): void {
    const { tag, ahead } = held;
    if (this.held.delete(held)) {
      if (ahead && !release) this.confirm(tag);
      else this.settles.settle(tag, 1, release ? 'undo' : 'ack', ahead ? this.confirmed : () => {});
    } else if (this.ours.delete(held) && release) {
      if (held.isClaimed) this.unwanted.add(held);
      else this.giveBack(held);
    }
  }

  /** Whether there are items that are in no queue, and that nobody has. */
  get givesBack(): boolean {
    return this.unwanted.size + this.back.length > 0;
  }

  /** Each goes in front: of all that come together the last one first. */
  private giveBack(held: Held): void {
    this.back.push(held);
    if (this.back.length > 1) return;
    queueMicrotask(() => {
      const back = this.back.sort((one, other) => other.tag - one.tag);
      this.back = [];
      for (const { items, index } of back) this.requeue(items.slice(index, index + 1));
    });
  }

  /** @param result lost: the server had given it back by itself */
  private claimed(held: Held, result: SettleResult): void {
    held.isClaimed = false;
    if (result === 'lost') this.ours.delete(held);
    if (this.unwanted.delete(held) && result !== 'lost') this.giveBack(held);
  }

  /** What lies in streams goes back, as everything that a handle holds when it is closed. */
  close(): void {
    // The last one first, since each goes in front.
    for (const held of [...this.ours, ...this.held].reverse()) {
      this.endHeld(held, true);
      held.isBack = true;
    }
  }

  /** Items that the program was given and cannot read, though others can: they come first again. */
  comeAgain(items: ItemBatch): void {
    this.requeue(items);
  }

  private confirmation(): (result: SettleResult, count: number) => void {
    const answered = (_result: SettleResult, count: number): void => {
      // That of a stream before this one says nothing of this one.
      if (answered !== this.confirmed) return;
      this.ahead.unconfirmed = Math.max(0, this.ahead.unconfirmed - count);
      this.onMore();
    };
    return answered;
  }

  /** The program waits for items that are there. */
  widen(): void {
    if (this.widening) return;
    this.widening = true;
    const wider = this.ahead.widerWindow;
    const { confirmed } = this;
    this.newWindow = wider;
    this.settles.barrier(() => {
      if (confirmed !== this.confirmed) return;
      this.widening = false;
      this.ahead.window = wider;
      this.watchIdle();
      this.onMore();
    });
  }

  /** While the program works on what it has, the rest is not its: should the process die, it comes again at once. */
  private watchIdle(): void {
    // The answer to what was asked before the handle was closed may come after that.
    if (this.idleTimer !== undefined || this.connection.closing) return;
    let { shown } = this.ahead;
    this.idleTimer = setInterval(
      () => {
        const { ahead } = this;
        if (ahead.shown === shown && ahead.unconfirmed === 0 && !this.widening) {
          ahead.window = 0;
          this.newWindow = 0;
          this.stop();
          if (this.connection.isOpen) this.connection.scheduleFlush();
        }
        shown = ahead.shown;
      },
      IDLE_MS + IDLE_ROUND_TRIPS * this.settles.roundTripMs,
    ).unref();
  }

  /** Looks no more whether the program is idle. */
  stop(): void {
    clearInterval(this.idleTimer);
    this.idleTimer = undefined;
  }

  /** The window that the server is to be told of, once. */
  takeNewWindow(): number | undefined {
    const { newWindow } = this;
    this.newWindow = undefined;
    return newWindow;
  }

  /** The stream is gone: what was agreed on is void, and what lies in streams is the program's. */
  onDown(): void {
    this.confirmed = this.confirmation();
    for (const held of this.held) {
      held.isClaimed = true;
      this.ours.add(held);
      this.settles.settle(held.tag, 1, 'ack', (result) => this.claimed(held, result));
    }
    this.held.clear();
    this.ahead.reset();
    this.stop();
    this.widening = false;
  }
}
