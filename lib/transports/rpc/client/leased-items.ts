/** Items on lease from the server, ended one by one or many at a time. A lease belongs to its stream: when that breaks, its item goes back. */
import { QueueClosedError, QueueConnectionError } from '../../../errors';
import { LeaseRun } from '../../../queue/lease-table';
import type { LeaseEnd } from '../../../queue/lease-table';
import { CallTimeout, OUTCOME_UNKNOWN } from './call-timeout';
import type { Connection } from './connection';
import type { Part } from './get-call';
import type { PendingSettles } from './pending-settles';

const REQUEUED = 'it went back to the queue';

export class LeasedItems {
  /** Items on lease now. */
  open = 0;
  /** Told when they have gone back, where there were any. */
  onLost: (reason: QueueConnectionError) => void = () => {};
  /** Streams so far. */
  private epoch = 0;

  constructor(
    private readonly connection: Connection,
    private readonly settles: PendingSettles,
  ) {}

  /** The stream is gone, and what was on lease with it. */
  onDown(): void {
    this.epoch++;
    if (this.open === 0) return;
    this.open = 0;
    this.onLost(this.lost(REQUEUED));
  }

  private lost(why: string): QueueConnectionError {
    return new QueueConnectionError(
      `lease: the connection to ${this.connection.where} broke while the item was on lease; ${why}`,
      why === OUTCOME_UNKNOWN ? { outcome: 'unknown' } : {},
    );
  }

  lend({ tag, items, deliveries, crashes }: Part): LeaseRun {
    const { epoch } = this;
    this.open += items.count;
    const end = (from: number, to: number, how: LeaseEnd): Promise<void> => {
      if (epoch === this.epoch) this.open -= to - from;
      return this.end(epoch, tag + from, to - from, how);
    };
    return new LeaseRun(items.count, {
      end: (from, to, acknowledge) => end(from, to, acknowledge ? 'ack' : 'release'),
      undo: (from, to) => end(from, to, 'undo'),
      deliveries: (index) => deliveries?.[index] ?? 1,
      crashes: (index) => crashes?.[index] ?? 0,
    });
  }

  private async end(epoch: number, tag: number, count: number, how: LeaseEnd): Promise<void> {
    const { connection } = this;
    const acknowledge = how === 'ack';
    // close() gives it back.
    if (connection.closing) {
      if (acknowledge) throw new QueueClosedError();
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const deadline = new CallTimeout(0, connection);
      const gone = (why: string): void => {
        deadline.clear();
        if (acknowledge) reject(this.lost(why));
        else resolve();
      };
      if (epoch !== this.epoch || !connection.isOpen) return gone(REQUEUED);
      deadline.arm(() => gone(OUTCOME_UNKNOWN), false);
      this.settles.settle(tag, count, how, (result) => {
        if (result !== 'done') return gone(result === 'lost' ? REQUEUED : OUTCOME_UNKNOWN);
        deadline.clear();
        resolve();
      });
    });
  }
}
