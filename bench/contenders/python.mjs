/** Python's own queue between processes and faster-fifo, which move pickled bytes objects, and iceoryx2, which moves bytes. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../python/queues.py', import.meta.url));
const ownPython = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));
const python = process.env.PYTHON ?? (existsSync(ownPython) ? ownPython : 'python3');
const install = (name) =>
  `python3 -m venv bench/.venv && bench/.venv/bin/pip install ${name} (or PYTHON=… names an interpreter that has it)`;

function lacks(module, cure) {
  try {
    execFileSync(python, ['-c', `import ${module}`], { stdio: 'ignore' });
    return undefined;
  } catch {
    return cure;
  }
}

const variant = (name, title, module, cure, topologies = ['1-1', '4-1', '1-4', '4-4']) => ({
  name: `python/${name}`,
  title,
  topologies,
  works: ['bytes'],
  missing: () => lacks(module, cure),
  external: (run) => ({
    command: python,
    args: [SCRIPT, JSON.stringify({ ...run, queue: name })],
  }),
});

export const variants = [
  variant('multiprocessing', 'Python multiprocessing.Queue', 'multiprocessing', 'apt-get install python3'),
  variant('faster_fifo', 'Python faster-fifo', 'faster_fifo', install('faster-fifo')),
  // Each subscriber gets every sample, so with several consumers it is no queue.
  variant('iceoryx2', 'Python iceoryx2, publish-subscribe without overflow, polled', 'iceoryx2', install('iceoryx2'), [
    '1-1',
    '4-1',
  ]),
  {
    ...variant('ray_queue', "Python's own ray.util.queue"),
    missing: () => 'npm run bench:ray measures it beside ray_queue, with a cluster of its own',
  },
];
