/** Without JavaScript: the core beside the rings of the textbook and a queue of Boost's. Built by `npm run bench:native`. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const BUILD =
  process.env.SAGE_BENCH_NATIVE ?? fileURLToPath(new URL('../../build/bench/native/bench', import.meta.url));

const variant = (name, title, program, cure) => ({
  name: `native/${name}`,
  title,
  own: name.startsWith('sage'),
  topologies: ['1-1'],
  works: ['bytes'],
  missing: () => (existsSync(`${BUILD}/${program}`) ? undefined : cure),
  external: (run) => ({ command: `${BUILD}/${program}`, args: [name, String(run.measureMs)] }),
});

const built = 'npm run bench:native';

export const variants = [
  variant('spsc_ring', 'C++: textbook single-producer single-consumer ring', 'throughput', built),
  variant('vyukov_mpmc', 'C++: Vyukov bounded MPMC queue', 'throughput', built),
  variant('sage_1', 'C++: sage_queue core, one by one', 'throughput', built),
  variant('sage_64', 'C++: sage_queue core, batches of 64', 'throughput', built),
  variant(
    'boost_message_queue',
    'C++: Boost.Interprocess message_queue',
    'boost_message_queue',
    'apt-get install libboost-dev, then npm run bench:native',
  ),
];
