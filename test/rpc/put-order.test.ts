/** Waiting puts of one handle go in in the order in which they were called, whatever their kind. */
import { Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

test.each([
  ['an array', (items: string[]) => items],
  ['a generator', (items: string[]) => new Set(items)],
])('putMany of %s beside put', async (_, source) => {
  const { port, backing } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client<string>(port);
  await queue.put('first');
  const putting = [
    queue.put('x'),
    queue.putMany(source(['a0', 'a1', 'a2'])),
    queue.put('b'),
    queue.putMany(['c0', 'c1']),
  ];
  await until(async () => (await backing.stats()).waitingPutters === 1);
  const seen: unknown[] = [];
  while (seen.length < 8) seen.push(await backing.get({ timeoutMs: 5000 }));
  expect(seen).toEqual(['first', 'x', 'a0', 'a1', 'a2', 'b', 'c0', 'c1']);
  expect(await Promise.all(putting)).toEqual([undefined, 3, undefined, 2]);
});

test('a putMany of many frames keeps its place until all of it is in line', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<number>(port);
  const many = queue.putMany(Array.from({ length: 60_000 }, (_, index) => index));
  const one = queue.put(-1);
  expect(await many).toBe(60_000);
  await one;
  const items = (await backing.getMany(Infinity)) as number[];
  expect(items.length).toBe(60_001);
  expect(items.at(-1)).toBe(-1);
});

test('a source that is silent holds nobody up', async () => {
  const { port, backing } = await fixture.serve();
  const queue = fixture.client<string>(port);
  let speak!: () => void;
  const spoken = new Promise<void>((resolve) => (speak = resolve));
  const slowly = async function* (): AsyncGenerator<string> {
    yield 'early';
    await spoken;
    yield 'late';
  };
  const many = queue.putMany(slowly());
  await until(async () => (await backing.qsize()) === 1);
  await queue.put('between', { timeoutMs: 5000 });
  speak();
  expect(await many).toBe(2);
  expect(await backing.getMany(3)).toEqual(['early', 'between', 'late']);
});

test('a put that does not wait is told at once that there is no room, though others wait before it', async () => {
  const { port } = await fixture.serve({ maxsize: 1 });
  const queue = fixture.client<string>(port);
  await queue.put('first');
  const waiting = queue.putMany(['a', 'b']).catch(() => {});
  await expect(queue.put('now', { block: false })).rejects.toMatchObject({ code: 'ERR_QUEUE_FULL' });
  await queue.close();
  await waiting;
});
