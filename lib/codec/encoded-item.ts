/**
 * An item that is encoded already, because it came from another process. In a queue in memory it lies as it is: it becomes a value when
 * somebody of this process takes it, and leaves for another process as the bytes it came in. A queue in shared memory takes its bytes.
 */
export interface Sealing {
  /** A view of the encoded item. */
  bytes(index: number): Uint8Array;
  codec(index: number): number;
  /** Of the encoded item, in bytes. */
  length(index: number): number;
  /** @throws SerializationError */
  open(index: number): unknown;
}

class Sealed {
  constructor(
    readonly batch: Sealing,
    /** Of the item in its batch. */
    readonly index: number,
  ) {}

  get bytes(): Uint8Array {
    return this.batch.bytes(this.index);
  }

  get byteLength(): number {
    return this.batch.length(this.index);
  }

  get codec(): number {
    return this.batch.codec(this.index);
  }

  /** @throws SerializationError */
  open(): unknown {
    return this.batch.open(this.index);
  }
}

/** One class for every copy of the package in this thread, which put them into each other's local queues. */
const SHARED = Symbol.for('sage-queue.encoded-item.1');
const { [SHARED]: shared = Sealed } = globalThis as { [SHARED]?: typeof Sealed };
Object.defineProperty(globalThis, SHARED, { value: shared, configurable: true });

export type SealedItem = Sealed;
export const SealedItem = shared;

/** Of a revoked proxy one cannot even ask what it is: that it is no encoded item, then. */
export function isSealed(value: unknown): value is SealedItem {
  try {
    return value instanceof SealedItem;
  } catch {
    return false;
  }
}
