/** `sage-queue:recovered` of node:diagnostics_channel: what was recovered from processes that died, whichever process did it. */
import { channel } from 'node:diagnostics_channel';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import type { NativeEntry } from './native-entry';

/** What subscribers of `sage-queue:recovered` get. */
export interface RecoveredMessage {
  readonly queue: QueueDescriptor;
  /** Since the message before. */
  readonly count: number;
  /** Since the queue was made. */
  readonly total: number;
}

const LOOK_MS = 100;
const recovered = channel('sage-queue:recovered');

/** Whether anybody is subscribed. */
export function areRecoveriesWatched(): boolean {
  return recovered.hasSubscribers;
}

/** Of one entry, for as long as somebody is subscribed. */
export class RecoveryWatch {
  private known: number;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly native: NativeEntry,
    private readonly queue: QueueDescriptor,
  ) {
    this.known = native.stats().recovered;
    this.timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  look(): void {
    const total = this.native.stats().recovered;
    const message: RecoveredMessage = { queue: this.queue, count: total - this.known, total };
    if (total !== this.known && recovered.hasSubscribers) recovered.publish(message);
    this.known = total;
  }

  end(): void {
    clearInterval(this.timer);
  }
}
