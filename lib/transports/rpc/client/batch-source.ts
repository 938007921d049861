/** The items of one putMany, encoded, in batches that fit a frame. Whatever stops their source, what came before it goes in. */
import { CODEC_RAW, encodeItem, isBytes, refuseCutOff } from '../../../codec/registry';
import type { ItemCodec } from '../../../codec/registry';
import { trueLengthOf } from '../../../util/built-ins';
import { itemTooLarge } from '../wire/errors';
import type { ItemBatch } from '../wire/item-batch';
import { ItemBatchBuilder } from '../wire/item-batch-builder';
import { BATCH_ITEMS } from '../wire/protocol';
import { settlesSoon } from '../../../queue/interruptible-source';
import { readStep } from '../../../queue/item-feed';
import { isTurnOver, nextTurn } from '../../../wait/fairness';

/** From a source that does not tell how many it has. */
const EXPECTED_ITEMS = 64;

class BatchEncoder<T> {
  /** Why no more is taken: an item that cannot be encoded, or what the source threw. */
  bad: { error: unknown } | undefined;
  private readonly builder: ItemBatchBuilder;
  private readonly plain: boolean;

  constructor(
    private readonly codec: ItemCodec | undefined,
    private readonly maxItemBytes: () => number,
    expectedItems: number,
  ) {
    this.plain = codec === undefined || codec === 'auto';
    this.builder = new ItemBatchBuilder(expectedItems);
  }

  /** @returns whether the batch is to be taken before more is added. */
  add(item: T): boolean {
    let bytes: Uint8Array;
    let codec = CODEC_RAW;
    try {
      if (this.plain && isBytes(item)) refuseCutOff((bytes = item));
      else ({ bytes, codecId: codec } = encodeItem(item, this.codec));
      const length = trueLengthOf(bytes);
      if (length > this.maxItemBytes()) throw itemTooLarge(length, this.maxItemBytes());
    } catch (error) {
      this.bad = { error };
      return true;
    }
    this.builder.add(bytes, codec);
    return this.builder.full;
  }

  get isEmpty(): boolean {
    return this.builder.count === 0;
  }

  /** Not to be asked when it is empty. */
  take(): ItemBatch {
    return this.builder.take();
  }
}

/** Its putMany has failed, and has an error already. */
function leave(source: Iterator<unknown>): void {
  try {
    source.return?.();
  } catch {
    // See above.
  }
}

/** @param maxItemBytes asked for every item: it is known once there is a connection */
export function* batchesOf<T>(
  items: Iterable<T>,
  codec: ItemCodec | undefined,
  maxItemBytes: () => number,
): Generator<ItemBatch, void, undefined> {
  const list: readonly T[] | undefined = Array.isArray(items) ? items : undefined;
  const encoder = new BatchEncoder<T>(
    codec,
    maxItemBytes,
    list === undefined ? EXPECTED_ITEMS : Math.min(list.length, BATCH_ITEMS),
  );
  if (list !== undefined) {
    for (let next = 0; next < list.length && encoder.bad === undefined;) {
      while (next < list.length && !encoder.add(list[next++]!));
      if (!encoder.isEmpty) yield encoder.take();
    }
  } else {
    const source = items[Symbol.iterator]();
    let over = false;
    try {
      while (!over && encoder.bad === undefined) {
        try {
          let step = readStep(source.next());
          while (step.done !== true && !encoder.add(step.value)) step = readStep(source.next());
          over = step.done === true;
        } catch (error) {
          over = true;
          encoder.bad = { error };
        }
        if (!encoder.isEmpty) yield encoder.take();
      }
    } finally {
      if (!over) leave(source);
    }
  }
  if (encoder.bad !== undefined) throw encoder.bad.error;
}

/**
 * The same of a source that may make us wait: it is not waited for with a batch in hand.
 * @param silent told when it makes us wait beyond this turn of the event loop, and when it has spoken
 */
export async function* asyncBatchesOf<T>(
  source: AsyncGenerator<T, void, undefined>,
  codec: ItemCodec | undefined,
  maxItemBytes: () => number,
  silent: (isSilent: boolean) => void,
): AsyncGenerator<ItemBatch, void, undefined> {
  const encoder = new BatchEncoder<T>(codec, maxItemBytes, EXPECTED_ITEMS);
  let next: Promise<IteratorResult<T>> | undefined;
  let over = false;
  try {
    while (!over && encoder.bad === undefined) {
      try {
        next = source.next();
        if (!(await settlesSoon(next))) {
          if (!encoder.isEmpty) yield encoder.take();
          silent(true);
        }
        const step = await next;
        silent(false);
        // A source that always has an item at hand would never let the event loop go on, and no answer come.
        if (isTurnOver(1)) await nextTurn();
        next = undefined;
        over = step.done === true;
        if (step.done === true || !encoder.add(step.value)) continue;
      } catch (error) {
        over = true;
        encoder.bad = { error };
      }
      if (!encoder.isEmpty) yield encoder.take();
    }
  } finally {
    const left = over ? undefined : source.return().catch(() => {});
    // One that is silent leaves only when it speaks again.
    if (next === undefined) await left;
  }
  if (!encoder.isEmpty) yield encoder.take();
  if (encoder.bad !== undefined) throw encoder.bad.error;
}
