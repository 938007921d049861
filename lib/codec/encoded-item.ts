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

/** Items that another copy of the package put into a local queue are opened like those of this one. */
const SEALED = Symbol.for('sage-queue.encoded-item.1');

export class SealedItem {
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

Object.defineProperty(SealedItem.prototype, SEALED, { value: true });

/** Of a revoked proxy one cannot even ask what it is: that it is no encoded item, then. */
export function isSealed(value: unknown): value is SealedItem {
  if (typeof value !== 'object' || value === null) return false;
  try {
    const prototype = Object.getPrototypeOf(value) as object | null;
    // Most values are told by the first two.
    if (prototype === Object.prototype || prototype === Array.prototype || prototype === null) return false;
    return prototype === SealedItem.prototype || SEALED in prototype;
  } catch {
    return false;
  }
}
