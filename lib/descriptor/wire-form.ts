/** Descriptors as they come from elsewhere: JSON text, its object, or an object that went through a structured clone. */
import { InvalidDescriptorError } from '../errors';
import { describeValue } from '../util/describe-value';
import { numberIfSame, parseJson } from '../util/json-text';
import type { Metadata } from './metadata';

/** The wire form, shared with Python: exactly these four keys, in this order. Unknown extra keys are ignored when read. */
export interface QueueDescriptorJSON {
  /** Non-empty. */
  queue_id: string;
  /** `local`, `shm`, `sage_queue`, `rpc`, `ray_actor`, `ray_queue`, `auto`, or a custom type. */
  queue_type: string;
  /** Snake_case keys; null counts as absent. */
  metadata: Metadata;
  /** Seconds since the epoch, fractional, as Python's `time.time()`. */
  created_timestamp: number;
}

/** What a descriptor is made of; a structured clone of one has just these. */
export interface DescriptorParts {
  queueId: string;
  queueType: string;
  metadata?: Metadata;
  createdTimestamp?: number;
}

/**
 * With nothing checked but the form.
 * @throws InvalidDescriptorError
 */
export function readWire(json: unknown): DescriptorParts {
  let wire: unknown;
  try {
    wire = typeof json === 'string' ? parseJson(json, numberIfSame) : json;
    if (typeof wire === 'object' && wire !== null && !Array.isArray(wire)) {
      const cloned = Object.hasOwn(wire, 'queueId') && !Object.hasOwn(wire, 'queue_id');
      return {
        queueId: own(wire, cloned ? 'queueId' : 'queue_id') as string,
        queueType: own(wire, cloned ? 'queueType' : 'queue_type') as string,
        metadata: (own(wire, 'metadata') ?? {}) as Metadata,
        createdTimestamp: (own(wire, cloned ? 'createdTimestamp' : 'created_timestamp') ?? undefined) as
          number | undefined,
      };
    }
  } catch (error) {
    const hint =
      typeof json === 'string' && !/^\s*[{["]/.test(json) ? ' A queue is also named by a URI, such as sage:jobs.' : '';
    throw new InvalidDescriptorError(`The descriptor cannot be read: ${(error as Error)?.message ?? error}.${hint}`, {
      cause: error,
    });
  }
  throw new InvalidDescriptorError(
    `A descriptor is a JSON object with queue_id, queue_type, metadata and created_timestamp, found ${describeValue(wire)}.`,
  );
}

/** Own keys only: what a polluted prototype offers is not part of the text. */
function own(wire: object, key: string): unknown {
  return Object.hasOwn(wire, key) ? (wire as Record<string, unknown>)[key] : undefined;
}
