/** What one handle has of the entry that it shares, and when that ends. */
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { CallGroup } from '../../wait/call-line';
import { readWait } from '../../wait/options';
import type { Wait, WaitOptions } from '../../wait/options';
import { native } from './addon';
import type { NativeOpenOptions } from './addon';
import { entryFor } from './entry';
import type { ProducerEnd } from '../../queue/producer-role';
import type { SegmentEntry } from './entry';
import type { Holder } from './holder';

/** What must be undone when a handle goes, whether it was closed or collected. It does not refer to the handle. */
export class Attachment {
  readonly entry: SegmentEntry;
  readonly holder: number;
  /** Those that wait. */
  readonly calls = new CallGroup();
  isOpen = true;
  private isProducer = false;

  /** @throws QueueNotFoundError, QueueExistsError, SegmentError */
  constructor(options: NativeOpenOptions) {
    this.entry = entryFor(options);
    this.holder = this.entry.join();
  }

  /** The handle is a producer's. False: the last of them has gone. */
  produce(expected: number): boolean {
    this.isProducer = native(() => this.entry.native.produce(expected));
    return this.isProducer;
  }

  close(): void {
    this.end('closed');
  }

  /** Nobody closed it, and nobody can any more: as a producer it is lost. */
  forget(): void {
    this.end('lost');
  }

  private end(asProducer: ProducerEnd): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.entry.leave(this.holder, this.calls, this.isProducer ? asProducer : undefined);
  }
}

/** A handle, to what also asks its entry. */
export interface AttachedQueue extends Holder {
  readonly descriptor: QueueDescriptor;
  readonly attachment: Attachment;
}

/** How long a call of an open handle may wait. To read what it was given may close that. @throws QueueClosedError, and as readWait */
export function waitOf(queue: Holder, options: WaitOptions | undefined, known?: readonly string[]): Wait {
  queue.check();
  const wait = readWait(options, known);
  if (options !== undefined) queue.check();
  return wait;
}

/** Handles that nobody can reach. There is nobody to tell either, should the segment be damaged. */
const forgotten = new FinalizationRegistry<Attachment>((attachment) => {
  try {
    attachment.forget();
  } catch {
    // What it held stays with the entry.
  }
});

/** From here on the collector ends `handle`, unless it is closed before. */
export function closeWhenForgotten(handle: AttachedQueue): void {
  forgotten.register(handle, handle.attachment, handle);
}

export function closeNow(handle: AttachedQueue): void {
  forgotten.unregister(handle);
  handle.attachment.close();
}
