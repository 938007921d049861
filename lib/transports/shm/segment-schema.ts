/** The schemas of a queue's items as they lie in its segment, where who attaches by name alone finds them. */
import type { ItemCodec } from '../../codec/registry';
import { codecOfSchema, readerOf } from '../../codec/struct/codec';
import type { StructCodec } from '../../codec/struct/codec';
import type { QueueDescriptor } from '../../descriptor/descriptor';
import { checkCompatible } from '../../descriptor/schema';
import { ConfigMismatchError, SegmentError } from '../../errors';
import { native } from './addon';
import type { NativeEntry } from './native-entry';

/** What a queue that is made with this descriptor stores; undefined: none. */
export function schemaBytes({ metadata: { schema } }: QueueDescriptor): Buffer | undefined {
  return schema === undefined || schema === null ? undefined : Buffer.from(codecOfSchema(schema).text);
}

/**
 * How items of the queue become bytes. A schema that has more optional fields than those the queue knows is added to them.
 * @throws ConfigMismatchError where the queue has another schema than is asked for, or none; SegmentError
 */
export function attachSchema(entry: NativeEntry, descriptor: QueueDescriptor): ItemCodec {
  const codec = codecOf(entry, descriptor);
  // All versions of a schema have one id.
  if (typeof codec === 'object') native(() => entry.setSchema(codec.id));
  return codec;
}

function codecOf(entry: NativeEntry, descriptor: QueueDescriptor): ItemCodec {
  const { metadata, queueId } = descriptor;
  const stored = entry.configuration.hasSchema ? readSchemas(entry) : [];
  const { schema, codec } = metadata;
  if (schema === undefined || schema === null)
    return stored.length > 0 ? readerOf(stored[0] as StructCodec) : typeof codec === 'string' ? codec : 'auto';
  const asked = codecOfSchema(schema);
  if (stored.length === 0)
    throw new ConfigMismatchError(
      `The queue '${queueId}' exists without a schema, and the descriptor asks for one. Make another queue, or leave it out.`,
    );
  for (const { node } of stored) checkCompatible(node, asked.node, queueId);
  if (stored.includes(asked) || native(() => entry.addSchema(Buffer.from(asked.text))) !== 0) return asked;
  throw new SegmentError(
    'ERR_SEGMENT_NO_SPACE',
    `The queue '${queueId}' has no room for another version of its schema: all of them together have 64 KiB.`,
  );
}

const readSchemas = (entry: NativeEntry): StructCodec[] =>
  native(() => entry.schemas())
    .filter((text) => text.length > 0)
    .map(readStored);

function readStored(text: Buffer): StructCodec {
  try {
    return codecOfSchema(JSON.parse(text.toString('utf8')));
  } catch (cause) {
    throw new SegmentError('ERR_SEGMENT_CORRUPT', 'What lies in the segment as the schema of its items is none.', {
      cause,
    });
  }
}
