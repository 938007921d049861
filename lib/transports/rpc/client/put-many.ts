/** One putMany under way: its batches, the oldest first, and how many items the server has said are in. */
import { QueueError, QueueTimeoutError } from '../../../errors';
import { withOutcomeUnknown } from '../../../queue/outcome';
import type { CallEnd } from '../../../wait/abort-listeners';
import { deadlineOf, restOf } from '../../../wait/deadline';
import type { Wait } from '../../../wait/options';
import type { ItemBatch } from '../wire/item-batch';
import { OUTCOME_UNKNOWN } from './call-timeout';
import type { RpcClient } from './client';
import type { PutOutcome, PutPlace } from './put-call';

/** Batches that may be under way: enough to keep the wire busy, few enough to read little ahead. */
const BATCHES_AHEAD = 8;

/** Of one process: the batches of one call stand and fall in order. */
let groups = 0;

export class PutManyCall {
  /** Exact once `settled()` has come. */
  accepted = 0;
  private readonly group = ++groups;
  readonly deadline: number;
  private readonly underWay: Promise<PutOutcome>[] = [];
  private failed: { error: unknown } | undefined;
  /** What a batch ended the source with: not always the first of them. */
  private stop: unknown;
  /** Some of what is not counted in `accepted` went in, or may have: an answer was lost, or another server had what came behind a failure. */
  private isUnclear = false;

  constructor(
    private readonly client: RpcClient,
    private readonly wait: Wait,
    private readonly ending: CallEnd,
  ) {
    this.deadline = deadlineOf(wait);
  }

  /**
   * What is put through the handle meanwhile waits until all batches are sent, but for the time in which their source is silent.
   * @param batchesOf is to say whenever the source falls silent, and when it speaks again. @throws what stopped it
   */
  async putAll(
    batchesOf: (silent: (isSilent: boolean) => void) => Iterable<ItemBatch> | AsyncIterable<ItemBatch>,
  ): Promise<void> {
    const { puts } = this.client;
    const place = puts.hold(this.group);
    const { signal } = this.ending;
    try {
      for await (const batch of batchesOf((isSilent) => puts.setAside(place, isSilent))) {
        signal.throwIfAborted();
        this.client.checkOpen();
        this.put(batch, place);
        if (this.underWay.length >= BATCHES_AHEAD) await this.settleOldest();
        if (this.failed !== undefined) break;
      }
    } catch (error) {
      // What is under way may have found that there was no room: that is why nothing more went in.
      if (!(error instanceof QueueTimeoutError)) throw error;
      await this.settled();
      this.failed ??= { error };
    } finally {
      puts.release(place);
    }
    await this.settled();
    if (this.failed !== undefined) throw (this.failed as { error: unknown }).error;
  }

  /** Never rejects: when it is known what became of all that was sent. */
  async settled(): Promise<void> {
    while (this.underWay.length > 0) await this.settleOldest();
  }

  private put(batch: ItemBatch, place: PutPlace): void {
    const { group } = this;
    const putting = this.client.puts.put(batch, restOf(this.wait, this.deadline), { group, place });
    // A source that is silent is not waited for when nothing of it can go in.
    void putting.then(({ failed }) => {
      if (failed !== undefined) this.ending.end((this.stop ??= failed.error));
    });
    this.underWay.push(putting);
  }

  private async settleOldest(): Promise<void> {
    const { applied, failed } = await this.underWay.shift()!;
    if (this.failed === undefined) this.accepted += applied;
    else this.isUnclear ||= applied > 0;
    this.isUnclear ||= (failed?.error as { outcome?: unknown } | undefined)?.outcome === 'unknown';
    this.failed ??= failed;
  }

  /** What stopped it, once `settled()` has come. A signal's reason belongs to the caller. */
  asFarAsKnown(ended: unknown): unknown {
    const error = ended === this.stop && this.failed !== undefined ? this.failed.error : ended;
    if (!this.isUnclear || error === this.wait.signal?.reason || !(error instanceof QueueError)) return error;
    return withOutcomeUnknown(error, `The server has not said what became of what was sent to it; ${OUTCOME_UNKNOWN}.`);
  }
}
