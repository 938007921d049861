/** Node's structured clone: cycles too, but readable by Node only. */
import type { DefaultSerializer } from 'node:v8';
import { trueBytesOf } from '../util/built-ins';
import { asBuffer } from '../util/buffer-view';
import { nodeV8 } from '../util/lazy-node';
import { cutOff, Refusal, refusalError } from './refusals';

/** What Node's has for views; its types do not say so. */
type WritingViews = new () => DefaultSerializer & { _writeHostObject(object: object): void };

/** Node's would write a view that shows nothing any more as an empty one. */
const makeSerializer = (): WritingViews =>
  class extends (nodeV8().DefaultSerializer as WritingViews) {
    override _writeHostObject(object: object): void {
      if (ArrayBuffer.isView(object) && trueBytesOf(object) === undefined) throw new Refusal(cutOff('a view'), object);
      super._writeHostObject(object);
    }
  };
let Serializer: WritingViews | undefined;

/** As Node's serialize(). @throws SerializationError, and what Node's does */
export function encodeV8(value: unknown): Buffer {
  const serializer = new (Serializer ??= makeSerializer())();
  try {
    serializer.writeHeader();
    serializer.writeValue(value);
    return serializer.releaseBuffer();
  } catch (error) {
    throw error instanceof Refusal ? refusalError(value, error) : error;
  }
}

export const decodeV8 = (bytes: Uint8Array): unknown => nodeV8().deserialize(asBuffer(bytes));
