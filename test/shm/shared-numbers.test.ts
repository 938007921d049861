/** Numbers that stand in C++ and in TypeScript are the same. */
import * as codecs from '../../lib/codec/codec-ids';
import * as addon from '../../lib/transports/shm/addon';

const there = addon.loadAddon().numbers();

/** What a module of TypeScript calls by names like those. */
const numbersOf = (module: object): [string, unknown][] =>
  Object.entries(module).filter(([name, value]) => typeof value === 'number' && /^[A-Z]+(_[A-Z]+)*$/.test(name));

test('statuses, registers, directions and steps', () => {
  const here = Object.fromEntries(numbersOf(addon));
  expect(Object.keys(here).length).toBeGreaterThan(15);
  const { CODEC_RAW: _codec, ...others } = there;
  expect(others).toEqual(here);
});

test('the codec that the addon knows', () => {
  expect(there.CODEC_RAW).toBe(codecs.CODEC_RAW);
});
