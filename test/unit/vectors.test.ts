/** Bytes that every language agrees on: the same file is read by the tests of the Python package. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QueueDescriptor, SerializationError } from '../../lib';
import { decodeItem, encodeItem } from '../../lib/codec/registry';

const text = readFileSync(join(__dirname, '../vectors/msgpack-items.json'), 'utf8');
const { items, refused } = JSON.parse(text) as {
  items: { name: string; js: string; hex: string }[];
  refused: { name: string; hex: string }[];
};

describe('MessagePack', () => {
  test.each(items)('$name', ({ js, hex }) => {
    const value: unknown = new Function('QueueDescriptor', `return (${js});`)(QueueDescriptor);
    const written = (item: unknown): string => Buffer.from(encodeItem(item, 'msgpack').bytes).toString('hex');
    expect(written(value)).toBe(hex);
    expect(written(decodeItem(2, Buffer.from(hex, 'hex')))).toBe(hex);
  });

  test.each(refused)('$name is refused', ({ hex }) => {
    expect(() => decodeItem(2, Buffer.from(hex, 'hex'))).toThrow(SerializationError);
  });
});
