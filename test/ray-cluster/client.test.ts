import { RayActorDiedError, RayTaskError } from '../../lib/transports/ray/errors';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { ndarray, PyDict, PyGlobal, PyObject, PyTuple } from '../../lib/transports/ray/pickle/types';
import { freshName, rayAddress } from './cluster';

const ECHO = `
class Echo:
    def __init__(self, start=0): self.count = start
    def echo(self, value): return value
    def add(self, by=1):
        self.count += by
        return self.count
    def fail(self, message): raise ValueError(message)
    def describe(self, value): return repr(value)
    def numbers(self):
        import numpy
        return [numpy.arange(6, dtype="f4").reshape(2, 3), numpy.float64(1.5), numpy.int64(7), numpy.bool_(True), numpy.arange(3, dtype=">i2")]
    def own(self):
        class Own(Exception): pass
        raise Own("mine")
`;

let client: RayClient;
const made: { name: string }[] = [];

beforeAll(async () => {
  client = await RayClient.connect({ address: rayAddress(), namespace: 'client-test' });
});

afterAll(async () => {
  for (const { name } of made) {
    const actor = await client.getActor(name);
    if (actor) await client.kill(actor);
  }
  await client.close();
});

async function echo(): Promise<Awaited<ReturnType<RayClient['createActor']>>> {
  const name = freshName('echo');
  made.push({ name });
  return client.createActor({ source: ECHO, name: 'Echo' }, [10], {}, { name });
}

test('tells the versions of the cluster', () => {
  expect(client.versions).toEqual({ ray: expect.stringMatching(/^\d+\.\d+/), python: expect.stringMatching(/^3\./) });
});

test('an actor made from source text is called, found by name, listed and killed', async () => {
  const actor = await echo();
  expect(await client.call(actor, 'add')).toBe(11);
  expect(await client.call(actor, 'add', [], { by: 5 })).toBe(16);
  const found = await client.getActor(actor.name!);
  expect(await client.call(found!, 'add')).toBe(17);
  expect(await client.listNamedActors()).toContainEqual({ name: actor.name, namespace: 'client-test' });
  const pending = client.call(actor, '__ray_call__', [await sleeper()]);
  void pending.catch(() => {});
  expect(await client.kill(actor)).toBe(true);
  const started = performance.now();
  // That it is dead, and not only to be killed, the call under way hears: until then another call may still be answered.
  await expect(pending).rejects.toBeInstanceOf(RayActorDiedError);
  await expect(client.call(actor, 'add')).rejects.toBeInstanceOf(RayActorDiedError);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(await client.getActor(freshName('nobody'))).toBeUndefined();

  async function sleeper(): Promise<unknown> {
    const args = new PyTuple(['lambda self: __import__("time").sleep(30)', new PyDict([['__name__', '__main__']])]);
    return new PyObject('reduce', new PyGlobal('builtins', 'eval'), args);
  }
});

test('what Python raises arrives typed, with the remote traceback', async () => {
  const actor = await echo();
  const error = await client.call(actor, 'fail', ['no']).catch((caught: unknown) => caught as RayTaskError);
  expect(error).toBeInstanceOf(RayTaskError);
  expect(error).toMatchObject({ pythonType: 'builtins.ValueError', args: ['no'], code: 'ERR_RAY_TASK' });
  expect((error as RayTaskError).remoteTraceback).toMatch(/line 8, in fail\nValueError: no/);
  await expect(client.call(actor, 'own')).rejects.toMatchObject({
    name: 'RayTaskError',
    message: expect.stringContaining('mine'),
  });
  await expect(client.call(actor, 'missing')).rejects.toMatchObject({ pythonType: 'builtins.AttributeError' });
});

test('values go to Python and back', async () => {
  const actor = await echo();
  const values = [
    null,
    true,
    1,
    1.5,
    2n ** 70n,
    'é😀',
    Buffer.from('ab'),
    [1, [2]],
    { a: { b: null } },
    new Map([[1, 2]]),
    new Set([1]),
    new Date(5000),
  ];
  expect(await client.call(actor, 'echo', [values])).toEqual(values);
  const matrix = (await client.call(actor, 'echo', [
    ndarray(new Float64Array([1, 2, 3, 4]), [2, 2]),
  ])) as Float64Array & { shape: number[] };
  expect(matrix).toEqual(new Float64Array([1, 2, 3, 4]));
  expect(matrix.shape).toEqual([2, 2]);
  expect(await client.call(actor, 'describe', [ndarray(new Int32Array([1, 2]))])).toBe('array([1, 2], dtype=int32)');
  expect(await client.call(actor, 'numbers')).toEqual([
    new Float32Array([0, 1, 2, 3, 4, 5]),
    1.5,
    7,
    true,
    new Int16Array([0, 1, 2]),
  ]);
});

test('objects are stored, fetched and freed; a large one comes in chunks', async () => {
  const bytes = Buffer.alloc(12 * 1024 * 1024, 'abc');
  const ref = await client.put(bytes);
  expect(bytes.equals((await client.get(ref)) as Buffer)).toBe(true);
  await client.free(ref);
  await expect(client.get(ref)).rejects.toThrow();
});

test('an opaque value can be passed back', async () => {
  const actor = await echo();
  const path = await client.callExpression(actor, 'lambda self: __import__("fractions").Fraction(1, 3)');
  expect(String(path)).toBe('<Python fractions.Fraction object>');
  expect(await client.call(actor, 'describe', [path])).toBe('Fraction(1, 3)');
});
