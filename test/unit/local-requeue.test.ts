/** What goes back into a queue in memory finds its place, whatever the order, and without a look at all that came back before. */
import { MemoryStore } from '../../lib/transports/memory/memory-store';
import type { Entry } from '../../lib/transports/memory/memory-store';
import { seeded } from '../random';

const COUNT = 4000;

/** Entries that count how often their places are compared. */
class Watched {
  readonly store = new MemoryStore<number>(0);
  looks = 0;
  readonly entries: Entry<number>[] = [];

  constructor() {
    for (let item = 0; item < COUNT; item++) this.store.tryPut(item);
    for (let item = 0; item < COUNT; item++) this.entries.push(this.watched(this.store.tryLease()!));
  }

  private watched(entry: Entry<number>): Entry<number> {
    return new Proxy(entry, {
      get: (target, key) => {
        if (key === 'sequence') this.looks++;
        return target[key as 'item'];
      },
    });
  }

  rest(): number[] {
    const items: number[] = [];
    while (this.store.size > 0) items.push(this.store.tryLease()!.item);
    return items;
  }
}

const runs = (size: number): number[] => Array.from({ length: COUNT / size }, (_, index) => index * size);
const all = Array.from({ length: COUNT }, (_, index) => index);

let watched: Watched;
let splices: jest.SpyInstance;

beforeEach(() => {
  watched = new Watched();
  splices = jest.spyOn(Array.prototype, 'splice');
});

afterEach(() => splices.mockRestore());

test.each([
  ['one by one', 1],
  ['in runs', 400],
  ['all at once', COUNT],
])('%s, the first ones first or the last ones first', (_name, size) => {
  for (const order of [runs(size), runs(size).reverse()]) {
    watched = new Watched();
    for (const from of order) watched.store.requeue(watched.entries.slice(from, from + size));
    expect(watched.looks).toBeLessThan(8 * COUNT);
    expect(splices).not.toHaveBeenCalled();
    expect(watched.rest()).toEqual(all);
  }
});

test('in any order, and while others are taken', () => {
  const { below } = seeded('what goes back', 7);
  const { store } = watched;
  const held = [...watched.entries];
  const back: number[] = [];
  for (let round = 0; round < 500; round++) {
    const run = held.splice(below(held.length), 1 + below(40));
    store.requeue(run);
    back.push(...run.map(({ item }) => item));
    back.sort((one, two) => one - two);
    if (below(3) > 0) continue;
    const taken = Array.from({ length: below(store.size) }, () => store.tryLease()!);
    expect(taken.map(({ item }) => item)).toEqual(back.splice(0, taken.length));
    held.push(...taken);
  }
  expect(watched.rest()).toEqual(back);
});
