/**
 * What the program has, or may have seen, of the items that were delivered: told to the server one by one, and of those that were read ahead
 * no more at a time than the window that client and server agree on.
 */
import { isUnknownSchema } from '../../../codec/struct/codec';
import { covers } from '../wire/protocol';
import type { Range } from '../wire/protocol';
import type { Connection } from './connection';
import type { PendingSettles, SettleResult } from './pending-settles';
import type { ReadAhead, ShownItem } from './read-ahead';

/** A program that takes nothing for so long is working on what it has: nothing more counts as shown then. At least, and in round trips. */
const IDLE_MS = 5;
const IDLE_ROUND_TRIPS = 4;

/** To neighbours that are told in one, the same one. */
const ignored = (): void => {};

/** One item in a stream. */
export interface Held {
  readonly tag: number;
  /** It was read ahead on this connection. */
  ahead: boolean;
  /** The handle was closed, and it went back: whoever takes it from its stream all the same is told. */
  isBack: boolean;
}

export class ShownItems {
  /** In streams, on their way to the program, and the server's until they leave. */
  private readonly held = new Set<Held>();
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
  ) {}

  /**
   * The program has this item from here on. One that cannot be decoded is removed; one of a schema that this process does not know stays in
   * its queue.
   * @throws what its codec says of it
   */
  give<T>({ items, index, tag }: ShownItem, ahead: boolean): T {
    const answered = ahead ? this.confirmed : ignored;
    let stays = false;
    try {
      return items.open(index) as T;
    } catch (error) {
      stays = isUnknownSchema(error);
      throw error;
    } finally {
      if (stays) this.settles.settle(tag, 1, 'undo', answered);
      else this.settles.ack(tag, answered);
    }
  }

  /** They are the program's. */
  giveAll(tag: number, count: number): void {
    if (count > 0) this.settles.settle(tag, count, 'ack', ignored);
  }

  /** An item that waits in a stream: it is acknowledged when it leaves, and goes back when the stream goes first. `endHeld` ends it. */
  hold(held: Held): void {
    this.held.add(held);
  }

  endHeld(held: Held, release: boolean): void {
    if (!this.held.delete(held)) return;
    const { tag, ahead } = held;
    if (ahead && !release) this.settles.ack(tag, this.confirmed);
    else this.settles.settle(tag, 1, release ? 'undo' : 'ack', ahead ? this.confirmed : ignored);
  }

  /** Whether there are items that wait in streams. */
  get anyHeld(): boolean {
    return this.held.size > 0;
  }

  /** Their tags, for Open. */
  get heldTags(): Range[] {
    const ranges: { first: number; count: number }[] = [];
    for (const { tag } of [...this.held].sort((one, other) => one.tag - other.tag)) {
      const last = ranges[ranges.length - 1];
      if (last !== undefined && last.first + last.count === tag) last.count++;
      else ranges.push({ first: tag, count: 1 });
    }
    return ranges;
  }

  /** @param tags of what the server still has for us; the rest it has given back, or it is another one, and nothing is to be told of it */
  onOpened(tags: readonly Range[]): void {
    for (const held of this.held) if (!covers(tags, held.tag)) this.held.delete(held);
  }

  /** What lies in streams goes back, as everything that a handle holds when it is closed. */
  close(): void {
    // The last one first: there are queues where each goes in front.
    for (const held of [...this.held].reverse()) {
      this.endHeld(held, true);
      held.isBack = true;
    }
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

  /** The connection is gone: what was agreed on is void. What lies in streams is kept there until we are back. */
  onDown(): void {
    this.confirmed = this.confirmation();
    for (const held of this.held) held.ahead = false;
    this.ahead.reset();
    this.stop();
    this.widening = false;
  }
}
