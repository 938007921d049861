/** Values that only a cluster, or a Python with NumPy, can make. */
import { spawnSync } from 'node:child_process';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { PyPersistent, RayClient } from '../../lib/ray';
import { resolveDescriptor } from '../../lib/resolve/registry';
import { readPickle } from '../../lib/transports/ray/pickle/convert';
import { writePickle } from '../../lib/transports/ray/pickle/write';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('values');
// Another session than the queue's.
const client = new RayClient({ address: rayAddress(), namespace });
const queueId = freshName('q');
const queue = resolveDescriptor<unknown>(
  QueueDescriptor.createRayQueue(queueId, { address: rayAddress(), namespace }),
  PATIENT,
);

afterAll(async () => {
  await queue.close();
  await killActors(client, [queueId]);
  await client.close();
});

test('an object reference inside an item is fetched, and let go', async () => {
  await queue.qsize();
  const actor = await client.getActor(queueId);
  await client.callExpression(actor!, `lambda self: self.put_nowait({"big": __import__("ray").put([1, "two"])})`);
  const { big } = (await queue.get()) as { big: PyPersistent };
  expect(big).toBeInstanceOf(PyPersistent);
  expect(await client.get(big)).toEqual([1, 'two']);
  // Put again, it is the same object.
  await queue.put({ again: big });
  const { again } = (await queue.get()) as { again: PyPersistent };
  expect(await client.get(again)).toEqual([1, 'two']);
  await expect(client.get(new PyPersistent('nothing'))).rejects.toThrow(TypeError);
  await client.free(big);
  await expect(client.get(big)).rejects.toMatchObject({ pythonType: 'builtins.ValueError' });
  await queue.close();
  await expect(client.get(again)).rejects.toMatchObject({ name: 'RaySessionLostError' });
  await client.free(again);
});

test('NumPy arrays come back to Python as they were', () => {
  const numpy = (program: string, input: string): string => {
    const source = `import numpy as np, pickle, json, sys\n${program}`;
    const python = spawnSync(process.env.RAY_PYTHON ?? 'python3', ['-c', source], { input, encoding: 'utf8' });
    if (python.status !== 0) throw new Error(python.stderr);
    return python.stdout;
  };
  const arrays = `arrays = [
    np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4)), np.asfortranarray((np.arange(6) + 1j).reshape(2, 3)),
    np.array([1.5, 0.1, 65504, 6e-8], dtype="f2"), np.array([1 + 2j], dtype="c8"), np.array([[True, False]]),
    np.array(["2024-02-29", "NaT"], dtype="M8[D]"), np.array([1], dtype="m8[25s]"), np.array(7, dtype="u4"), np.zeros((0, 3)),
  ]`;
  const pickles = JSON.parse(
    numpy(`${arrays}\nprint(json.dumps([pickle.dumps(a).hex() for a in arrays]))`, ''),
  ) as string[];
  const back = pickles.map((hex) => writePickle(readPickle(Buffer.from(hex, 'hex'))).toString('hex'));
  const same = `${arrays}
back = [pickle.loads(bytes.fromhex(h)) for h in json.load(sys.stdin)]
print(json.dumps([a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(arrays, back)]))`;
  expect(JSON.parse(numpy(same, JSON.stringify(back)))).toEqual(pickles.map(() => true));
});
