/** The programs of docs/ray.md, as they stand there but for the address: two of Node, one of Python between them. */
import { spawnSync } from 'node:child_process';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { blocksRunBy } from '../docs/pages';
import type { Block } from '../docs/pages';
import { Project, promised } from '../docs/run-block';
import { killActors, rayAddress } from './cluster';

const project = new Project();
const blocks = blocksRunBy('test/ray-cluster/page.test.ts').map((block) => ({
  ...block,
  code: block.code.replace('ray://head:10001', rayAddress()),
}));
afterAll(() => project.remove());
afterAll(async () => {
  for (const [namespace, name] of [
    ['sage_queue', 'jobs'],
    ['work', 'counter'],
  ] as const) {
    const client = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
    await killActors(client, [name]);
    await client.close();
  }
});

function runs(block: Block): void {
  const { status, stdout, stderr } = project.run(block, 50);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.split('\n').filter(Boolean)).toEqual(promised(block));
}

test('there are three', () => expect(blocks.map(({ language }) => language)).toEqual(['ts', 'python', 'ts']));

test('a queue from Node', () => runs(blocks[0]!));

test('the same queue from Python', () => {
  const program = `
import ray
from ray.util.queue import Queue
ray.init(address="${process.env.RAY_GCS_ADDRESS}", log_to_driver=False, logging_level="error")
${blocks[1]!.code}
queue.put("from Python")
print(queue.get(), queue.qsize())`;
  const python = spawnSync(process.env.RAY_PYTHON ?? 'python3', ['-c', program], { encoding: 'utf8', timeout: 50_000 });
  expect({ status: python.status, stdout: python.stdout }).toEqual({ status: 0, stdout: 'from Python 0\n' });
});

test('an actor of one’s own', () => runs(blocks[2]!));
