/**
 * Items that were read ahead of loops and streams, in order, and how many of them may be: as many as the program turns out to take before
 * more can be there. What of them the program may have seen the server has to know, so that it keeps them for us when the connection breaks: no
 * more than `window` are shown and not confirmed, and the window is wider only once the server has agreed.
 */
import type { ItemBatch } from '../wire/item-batch';

const FIRST_TARGET = 16;
const MOST_ITEMS = 16_384;
const MOST_BYTES = 4 * 1024 * 1024;
/** By how much more is read ahead, or shown unconfirmed, when the program had to wait for it. */
const GROWTH = 4;

/** One item on its way to the program. */
export interface ShownItem {
  items: ItemBatch;
  index: number;
  tag: number;
}

interface Segment {
  tag: number;
  items: ItemBatch;
  /** The first that was not shown. */
  next: number;
}

export class ReadAhead {
  /** Items not shown. */
  count = 0;
  /** Shown in all. */
  shown = 0;
  /** Shown, and not known to the server to be. */
  unconfirmed = 0;
  window = 0;
  private segments: Segment[] = [];
  private bytes = 0;
  private target: number;
  private itemBytes = 0;

  /** @param most items; 0: nothing is read ahead */
  constructor(private readonly most = MOST_ITEMS) {
    this.target = Math.min(FIRST_TARGET, most);
  }

  get isOff(): boolean {
    return this.most === 0;
  }

  /** How many more are worth asking for. */
  get room(): number {
    const affordable = this.itemBytes === 0 ? FIRST_TARGET : Math.floor((MOST_BYTES - this.bytes) / this.itemBytes);
    return Math.max(0, Math.min(this.target - this.count, affordable));
  }

  get isLow(): boolean {
    return this.count <= this.target / 2;
  }

  get mayShow(): boolean {
    return this.unconfirmed < this.window;
  }

  /** The window to ask for when the program has to wait for a confirmation. */
  get widerWindow(): number {
    return Math.min(Math.max(1, this.window * GROWTH), MOST_ITEMS);
  }

  /** The program had to wait, although all that was asked for had come. */
  grow(): void {
    this.target = Math.min(Math.max(1, this.target) * GROWTH, this.most, MOST_ITEMS);
  }

  /** Others need the items. */
  shrink(): void {
    this.target = Math.min(1, this.most);
  }

  add(tag: number, items: ItemBatch): void {
    if (items.count === 0) return;
    this.segments.push({ tag, items, next: 0 });
    this.count += items.count;
    this.bytes += items.byteLength;
    this.itemBytes = Math.max(1, items.byteLength / items.count);
  }

  /** The next one, to be confirmed; not to be asked of an empty one. */
  show(): ShownItem {
    const segment = this.segments[0]!;
    const { items, tag } = segment;
    const index = segment.next++;
    this.count--;
    this.bytes -= items.length(index);
    this.shown++;
    this.unconfirmed++;
    if (segment.next === items.count) this.segments.shift();
    return { items, index, tag: tag + index };
  }

  /** All that was not shown leaves: ranges of tags. */
  clear(): { tag: number; count: number }[] {
    const ranges = this.segments.map(({ tag, items, next }) => ({ tag: tag + next, count: items.count - next }));
    this.segments = [];
    this.count = this.bytes = 0;
    return ranges;
  }

  /** The stream is gone, and with it what was read ahead and what was agreed. */
  reset(): void {
    this.clear();
    this.window = this.unconfirmed = 0;
  }
}
