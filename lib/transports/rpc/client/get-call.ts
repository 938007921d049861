/** One get under way. */
import { onAbort } from '../../../wait/abort-listeners';
import type { Wait } from '../../../wait/options';
import type { ItemBatch } from '../wire/item-batch';
import type { CallTimeout } from './call-timeout';

/** Items of one delivery. */
export interface Part {
  tag: number;
  items: ItemBatch;
  deliveries: readonly number[] | null | undefined;
  crashes?: readonly number[] | null;
  /** It was read ahead. */
  ahead?: boolean;
}

/**
 * take: the program has the item as soon as it comes. hold: the same, but whoever asked confirms what came. lease: it goes back with the
 * stream.
 */
export type GetKind = 'take' | 'hold' | 'lease';

export interface GetOptions {
  kind: GetKind;
  max: number;
  /** More may be read ahead with it. */
  ahead?: boolean;
}

export class GetCall {
  /** unsent: in line. sent: the server was asked. done: its promise is settled. */
  state: 'unsent' | 'sent' | 'done' = 'unsent';
  /** The number of the last time it was sent. */
  request = 0;
  /** What came so far, of a call that several deliveries answer. */
  parts: Part[] = [];
  private ignoreAbort = (): void => {};

  constructor(
    readonly options: GetOptions,
    readonly deadline: CallTimeout,
    private readonly settle: { resolve(parts: Part[]): void; reject(error: unknown): void },
  ) {}

  listen(signal: Wait['signal'], abort: (reason: unknown) => void): void {
    this.ignoreAbort = onAbort(signal, () => abort(signal?.reason));
  }

  resolve(): void {
    this.end();
    this.settle.resolve(this.parts);
  }

  reject(error: unknown): void {
    this.end();
    this.settle.reject(error);
  }

  private end(): void {
    this.state = 'done';
    this.deadline.clear();
    this.ignoreAbort();
  }
}
