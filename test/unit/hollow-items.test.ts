/** Instances whose substance is in no property: as their properties they would arrive as {}. */
import { decodeItem, encodeItem } from '../../lib/codec/registry';

class Secret {
  #value = 1;

  get value(): number {
    return this.#value;
  }
}

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}

  get length(): number {
    return Math.hypot(this.x, this.y);
  }
}

class Marker {}

const hollow: Record<string, unknown> = {
  Blob: new Blob(['text']),
  File: new File(['text'], 'name'),
  Response: new Response('text'),
  Headers: new Headers({ a: 'b' }),
  URLSearchParams: new URLSearchParams('a=b'),
  FormData: new FormData(),
  AbortController: new AbortController(),
  NumberFormat: new Intl.NumberFormat(),
  Secret: new Secret(),
};

describe.each(['auto', 'json'])('%s', (codec) => {
  const refusal = (name: string): Error =>
    expect.objectContaining({ code: 'ERR_ITEM_SERIALIZATION', message: expect.stringContaining(name) });

  it.each(Object.keys(hollow))('refuses a %s, at any depth', (name) => {
    expect(() => encodeItem(hollow[name], codec)).toThrow(refusal(name));
    expect(() => encodeItem([{ deep: hollow[name] }], codec)).toThrow(refusal(name));
  });

  it('sends the fields of an instance, and one of a class that is only a name', () => {
    const passed = (item: unknown): unknown => {
      const { codecId, bytes } = encodeItem(item, codec);
      return decodeItem(codecId, bytes);
    };
    expect(passed(new Point(3, 4))).toEqual({ x: 3, y: 4 });
    expect(passed([new Marker(), {}, [], Object.create(null)])).toEqual([{}, {}, [], {}]);
  });
});
