/** What packSmall leaves for the addon: the items' bytes, one behind the other, written where they lie. */
import { encodeItem, encodeItemSpan, registerCodec } from '../../lib/codec/registry';
import type { ItemCodec } from '../../lib/codec/registry';
import { StructCodec } from '../../lib/codec/struct/codec';
import { parseSchema } from '../../lib/descriptor/schema';
import { seeded } from '../random';

const copies = jest.fn();
let sendBuffer: typeof import('../../lib/transports/shm/send-buffer');
let packSmall: typeof sendBuffer.packSmall;
beforeAll(() => {
  const { copy } = Buffer.prototype;
  Buffer.prototype.copy = function (...args: Parameters<typeof copy>) {
    copies();
    return copy.apply(this, args);
  };
  // Not before: it keeps the function.
  sendBuffer = jest.requireActual('../../lib/transports/shm/send-buffer');
  ({ packSmall } = sendBuffer);
  Buffer.prototype.copy = copy;
});
/** From here on the encoder has more memory of its own than there is to pack into. */
const enlargeEncoder = (): unknown => encodeItemSpan('x'.repeat(90_000)).buffer;
beforeEach(enlargeEncoder);

const MOST = 1 << 20;
const SMALL = 1024;
const struct = new StructCodec(parseSchema({ id: 'u32', name: 'string' }));
registerCodec({ name: 'texts', id: 78, encode: (value) => Buffer.from(String(value)), decode: String });

/** Packs all of it, as many batches as that takes; compares each item with what it is encoded to by itself. */
function expectPacked(items: readonly unknown[], codec: ItemCodec): void {
  for (let from = 0; from < items.length;) {
    enlargeEncoder();
    const { count, next, failure } = packSmall(items, from, codec, MOST);
    expect(failure).toBeUndefined();
    const { bytes, codecs } = sendBuffer.unpack(0, count) as { bytes: Buffer[]; codecs: Uint8Array };
    const isAsAlone = (index: number): boolean => {
      const alone = encodeItem(items[from + index], codec);
      return codecs[index] === alone.codecId && bytes[index]!.compare(alone.bytes) === 0;
    };
    expect(bytes.findIndex((_, index) => !isAsAlone(index))).toBe(-1);
    if (next !== undefined) {
      expect(next.bytes.length).toBeGreaterThan(SMALL);
      expect(Buffer.compare(next.bytes, encodeItem(items[from + count], codec).bytes)).toBe(0);
    }
    expect(count + Number(next !== undefined)).toBeGreaterThan(0);
    from += count + Number(next !== undefined);
  }
}

test('objects are encoded where they lie, without a copy', () => {
  const items = Array.from({ length: 64 }, (_, id) => ({ id, name: `item ${id}` }));
  for (const codec of ['auto', 'msgpack', struct] as const) {
    packSmall(items, 0, codec, MOST);
    copies.mockClear();
    expect(packSmall(items, 0, codec, MOST).count).toBe(64);
    expect(copies).not.toHaveBeenCalled();
    expectPacked(items, codec);
  }
});

test('items of all sizes and kinds', () => {
  const random = seeded('packed items');
  const letters = ['a', 'é', '日', '😀'];
  for (let round = 0; round < 60; round++) {
    const letter = random.pick(letters);
    const text = (): string => letter.repeat(random.pick([0, 1, 40, 300, 480, 500, 1015, 1030]));
    const any = (): unknown =>
      random.pick([Buffer.from(text()), text(), { text: text() }, [1, text()], random.below(9)]);
    const items = Array.from({ length: 1 + random.below(150) }, any);
    expectPacked(items, 'auto');
    expectPacked(items, 'msgpack');
    expectPacked(items.map(String), 'texts');
    expectPacked(items.map((_, id) => ({ id, name: text() })), struct); // prettier-ignore
  }
});

test.each([1000, 1020, 1500, 1900, 3000])('an item of %i bytes near the end of the memory', (bytes) => {
  for (let before = 55; before <= 64; before++) {
    const texts = [...Array<string>(before).fill('x'.repeat(1015)), 'y'.repeat(bytes), 'z'];
    for (const codec of ['auto', 'msgpack', 'texts'] as const) expectPacked(texts, codec);
    expectPacked(texts.map((text, id) => ({ id, name: text.slice(10) })), struct); // prettier-ignore
  }
});

test('the encoder goes on in its own memory afterwards, whatever came between', () => {
  const { buffer, start } = encodeItemSpan({ before: true });
  const meddler = {
    get value(): string {
      // Another item is being encoded: this one goes elsewhere.
      expect(encodeItemSpan({ within: true }).buffer === sendBuffer.sendBufferMemory()).toBe(false);
      return 'meddled';
    },
  };
  const failing = {
    get value(): never {
      throw new Error('unreadable');
    },
  };
  for (const last of [meddler, failing, { text: 'x'.repeat(100_000) }, () => {}]) {
    const { count } = packSmall([{ first: 1 }, last, { third: 3 }], 0, 'auto', MOST);
    expect(count).toBe(last === meddler ? 3 : 1);
    const after = encodeItemSpan({ after: true });
    // Not by toBe(), which would print them.
    expect([after.buffer === buffer, after.start]).toEqual([true, start]);
    expect(enlargeEncoder() === buffer).toBe(true);
  }
});

test('a batch that is put while an item is encoded alone', () => {
  const item = {
    first: 1,
    get value(): string {
      expectPacked([{ within: 1 }, Buffer.from('bytes'), { within: 2 }], 'auto');
      return 'meddled';
    },
  };
  const { buffer, start, end } = encodeItemSpan(item);
  const alone = Buffer.from(buffer.subarray(start, end));
  expect(alone).toEqual(Buffer.from(encodeItem({ first: 1, value: 'meddled' }).bytes));
});

test('large items, one after the other, are encoded where the encoder has grown already', () => {
  const large = { text: Array.from({ length: 20_000 }, (_, index) => `line ${index}`) };
  const pack = (): void => expect(packSmall([large], 0, 'auto', MOST).next!.bytes.length).toBeGreaterThan(100_000);
  pack();
  pack(); // its own memory grows to the size
  const grown = jest.spyOn(Buffer, 'allocUnsafeSlow');
  pack();
  pack();
  expect(grown).not.toHaveBeenCalled();
  grown.mockRestore();
});
