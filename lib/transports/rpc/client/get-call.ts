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

export interface GetOptions {
  max: number;
  /** What came goes back with the stream, unless it is settled before. */
  lease?: boolean;
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
    /** Has what came, and the say over it, at once: whatever happens next, the handle's end among it, finds that settled. */
    private readonly receive: (parts: Part[]) => void,
    private readonly fail: (error: unknown) => void,
  ) {}

  listen(signal: Wait['signal'], abort: (reason: unknown) => void): void {
    this.ignoreAbort = onAbort(signal, () => abort(signal?.reason));
  }

  /** Hands over what came. */
  resolve(): void {
    this.end();
    try {
      this.receive(this.parts);
    } catch (error) {
      this.fail(error);
    }
  }

  reject(error: unknown): void {
    this.end();
    this.fail(error);
  }

  private end(): void {
    this.state = 'done';
    this.deadline.clear();
    this.ignoreAbort();
  }
}
