/**
 * The closed set of errors. Every error the package makes is a `QueueError` with a stable `code`; programming mistakes
 * at a call (a negative timeout, a null implementation) are the language's own `RangeError` and `TypeError`.
 * Messages say what was expected, what was found, and what to do.
 */

/** On the prototype of each class: its name, the same in every copy of the package. */
const BRAND = Symbol.for('sage-queue.error');
type Branded = { [BRAND]?: string };

/** What an error carries beside its message. */
export interface QueueErrorOptions {
  /** What led to it. */
  cause?: unknown;
  /** How many items went in before it. */
  accepted?: number;
  /** 'unknown': the item may be in, now or later. */
  outcome?: 'unknown';
}

/**
 * The base of all. By itself, among others, as ERR_QUEUE_SOURCE: a putMany ended with something that cannot carry `accepted`, as a
 * primitive or a frozen object that its source threw; it is the `cause`.
 */
export class QueueError extends Error {
  /** Stable across versions; test against this or the class, never against the message. */
  readonly code: string;
  /** `putMany` only: how many items went in before the error. */
  declare readonly accepted?: number;
  /** A put that was given up while the queue had the item in hand, and did not say whether it takes it: the item may be in, now or later. */
  declare readonly outcome?: 'unknown';

  constructor(code: string, message: string, options: QueueErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.accepted !== undefined) this.accepted = options.accepted;
    if (options.outcome !== undefined) this.outcome = options.outcome;
  }

  /** That of the class. */
  override get name(): string {
    return this.constructor.name;
  }

  /** Recognizes the errors of every copy of the package in this process. Of a class that a program derives only its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    const { prototype } = this as { prototype: Branded };
    if (!Object.hasOwn(prototype, BRAND) || typeof value !== 'object' || value === null) return false;
    for (let next = Object.getPrototypeOf(value) as Branded | null; next !== null; next = Object.getPrototypeOf(next))
      if (Object.hasOwn(next, BRAND) && next[BRAND] === prototype[BRAND]) return true;
    return false;
  }
}

/** ERR_QUEUE_EMPTY: there was no item, at once (`block: false`) or within `timeoutMs`. */
export class QueueEmptyError extends QueueError {
  constructor(message = 'The queue is empty.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_EMPTY', message, options);
  }
}

/** ERR_QUEUE_FULL: there was no room, at once (`block: false`) or within `timeoutMs`. */
export class QueueFullError extends QueueError {
  constructor(message = 'The queue is full.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_FULL', message, options);
  }
}

/** ERR_QUEUE_SHUT_DOWN: `shutdown` was called on the queue, here or elsewhere; nothing can be put, or nothing is left to get. */
export class QueueShutDownError extends QueueError {
  constructor(message = 'The queue was shut down.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_SHUT_DOWN', message, options);
  }
}

/** ERR_QUEUE_CLOSED: this handle was closed; the queue itself may live on. */
export class QueueClosedError extends QueueError {
  constructor(
    message = 'This handle on the queue was closed. Resolve the descriptor again for a new one.',
    options?: QueueErrorOptions,
  ) {
    super('ERR_QUEUE_CLOSED', message, options);
  }
}

/** ERR_QUEUE_NOT_FOUND: `create: 'never'` and there is no such queue. */
export class QueueNotFoundError extends QueueError {
  constructor(message = 'There is no such queue.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_NOT_FOUND', message, options);
  }
}

/** ERR_QUEUE_EXISTS: `create: 'exclusive'` and the queue is there already. */
export class QueueExistsError extends QueueError {
  constructor(message = 'The queue exists already.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_EXISTS', message, options);
  }
}

/** ERR_QUEUE_TYPE_UNKNOWN: no implementation is registered for the descriptor's `queue_type`. */
export class UnknownQueueTypeError extends QueueError {
  constructor(message: string, options?: QueueErrorOptions) {
    super('ERR_QUEUE_TYPE_UNKNOWN', message, options);
  }
}

/** ERR_DESCRIPTOR_INVALID: the descriptor, or an option that goes into it, is not what it must be. */
export class InvalidDescriptorError extends QueueError {
  constructor(message: string, options?: QueueErrorOptions) {
    super('ERR_DESCRIPTOR_INVALID', message, options);
  }
}

/** ERR_ITEM_SERIALIZATION: the codec cannot encode this value (the queue is unchanged), or cannot decode these bytes. */
export class SerializationError extends QueueError {
  /** When a get could not decode: the item as it lay in the queue. It is no longer there. */
  declare readonly bytes?: Uint8Array;
  /** Which codec wrote the bytes. */
  declare readonly codecId?: number;

  constructor(message: string, options: QueueErrorOptions & { bytes?: Uint8Array; codecId?: number } = {}) {
    super('ERR_ITEM_SERIALIZATION', message, options);
    if (options.bytes !== undefined) this.bytes = options.bytes;
    if (options.codecId !== undefined) this.codecId = options.codecId;
  }
}

/** ERR_ITEM_TOO_LARGE: the item could never fit, however long one waited. */
export class ItemTooLargeError extends QueueError {
  constructor(message: string, options?: QueueErrorOptions) {
    super('ERR_ITEM_TOO_LARGE', message, options);
  }
}

/** ERR_QUEUE_CONFIG_MISMATCH: the queue exists with another configuration than the descriptor asks for. */
export class ConfigMismatchError extends QueueError {
  constructor(message: string, options?: QueueErrorOptions) {
    super('ERR_QUEUE_CONFIG_MISMATCH', message, options);
  }
}

/** ERR_QUEUE_TIMEOUT: what `join`, `call` or a `putMany` waited for, of its source, did not come within `timeoutMs`. */
export class QueueTimeoutError extends QueueError {
  constructor(message = 'The time was over before it came.', options?: QueueErrorOptions) {
    super('ERR_QUEUE_TIMEOUT', message, options);
  }
}

/** ERR_QUEUE_PRODUCER_LOST: a producer ended before it closed its handle: what was read is all there is, and not all there should be. */
export class QueueProducerLostError extends QueueError {
  constructor(
    message = 'A producer of this queue ended before it closed its handle: what was read so far is not the whole.',
    options?: QueueErrorOptions,
  ) {
    super('ERR_QUEUE_PRODUCER_LOST', message, options);
  }
}

/** ERR_REMOTE: what the handler of a `serve` threw, as its caller gets it: `name`, `message` and `cause` are those of what was thrown. */
export class RemoteError extends QueueError {
  /** Where the handler threw, in its own process. */
  declare readonly remoteStack?: string;

  constructor(message: string, options: QueueErrorOptions & { name?: string; remoteStack?: string } = {}) {
    super('ERR_REMOTE', message, options);
    if (options.name !== undefined) Object.defineProperty(this, 'name', { value: options.name, configurable: true });
    if (options.remoteStack !== undefined) this.remoteStack = options.remoteStack;
  }
}

/** Codes of SegmentError. */
export type SegmentErrorCode =
  | 'ERR_SEGMENT_CORRUPT'
  | 'ERR_SEGMENT_VERSION'
  | 'ERR_SEGMENT_PERMISSION'
  | 'ERR_SEGMENT_NO_SPACE'
  | 'ERR_SEGMENT_NAME'
  | 'ERR_SEGMENT_NAMESPACE'
  | 'ERR_SEGMENT_PARTICIPANTS'
  | 'ERR_SEGMENT_UNSUPPORTED'
  | 'ERR_SEGMENT_RESOURCES';

/** ERR_SEGMENT_*: something is wrong with the shared-memory segment itself. */
export class SegmentError extends QueueError {
  declare readonly code: SegmentErrorCode;

  constructor(code: SegmentErrorCode, message: string, options?: QueueErrorOptions) {
    super(code, message, options);
  }
}

/** ERR_QUEUE_CONNECTION: the far side (rpc, ray) is unreachable, refused, or did not accept the credentials. */
export class QueueConnectionError extends QueueError {
  constructor(message: string, options?: QueueErrorOptions) {
    super('ERR_QUEUE_CONNECTION', message, options);
  }
}

const classes = {
  QueueError,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  QueueClosedError,
  QueueNotFoundError,
  QueueExistsError,
  UnknownQueueTypeError,
  InvalidDescriptorError,
  SerializationError,
  ItemTooLargeError,
  ConfigMismatchError,
  QueueTimeoutError,
  QueueProducerLostError,
  RemoteError,
  SegmentError,
  QueueConnectionError,
};
for (const [name, { prototype }] of Object.entries(classes)) Object.defineProperty(prototype, BRAND, { value: name });
