/** Python's own queue between processes, and faster-fifo. Both move pickled bytes objects. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../python/queues.py', import.meta.url));
const python = process.env.PYTHON ?? 'python3';

function lacks(module, cure) {
  try {
    execFileSync(python, ['-c', `import ${module}`], { stdio: 'ignore' });
    return undefined;
  } catch {
    return cure;
  }
}

const variant = (name, title, module, cure) => ({
  name: `python/${name}`,
  title,
  topologies: ['1-1', '4-1', '1-4', '4-4'],
  works: ['bytes'],
  missing: () => lacks(module, cure),
  external: (run) => ({
    command: python,
    args: [SCRIPT, JSON.stringify({ ...run, queue: name })],
  }),
});

export const variants = [
  variant('multiprocessing', 'Python multiprocessing.Queue', 'multiprocessing', 'apt-get install python3'),
  variant(
    'faster_fifo',
    'Python faster-fifo',
    'faster_fifo',
    'pip install faster-fifo (PYTHON=… names the interpreter)',
  ),
];
