/** What is measured: each suite puts its contenders side by side, round by round. */
const bytes = (count) => ({
  kind: 'bytes',
  bytes: count,
  name: count < 1024 ? `${count} B` : count < 1048576 ? `${count / 1024} KiB` : `${count / 1048576} MiB`,
});
const objects = { kind: 'objects', name: 'objects of five fields' };
const largeObjects = { kind: 'large-objects', name: 'objects of about 10 KiB' };

const peers = [
  'unix_socket',
  'unix_socket_corked',
  'unix_socket_coalesced',
  'tcp_loopback',
  'zeromq',
  'grpc',
  'node-ipc',
  'child_process/json',
  'child_process/advanced',
];
const threads = ['worker_threads', 'ringbuf.js'];
const brokers = ['redis/list', 'redis/stream'];
const pythons = ['python/multiprocessing', 'python/faster_fifo', 'python/iceoryx2', 'python/ray_queue'];

const throughput = (id, title, work, contenders, topology = '1-1') => ({
  id,
  title,
  measure: 'throughput',
  unit: 'messages/s',
  work,
  topology,
  contenders,
});

const sizes = [8, 512, 4096, 32768, 262144, 1048576].map((size) =>
  throughput(`size-${size}`, `Bytes of ${bytes(size).name}, one producer, one consumer`, bytes(size), [
    'sage_queue/sync',
    'sage_queue/claim',
    'unix_socket',
    'zeromq',
  ]),
);

export const suites = [
  throughput('native-64', 'Without JavaScript: 64 B, one producer process, one consumer process', bytes(64), [
    'native/spsc_ring',
    'native/vyukov_mpmc',
    'native/sage_1',
    'native/sage_64',
    'native/boost_message_queue',
  ]),
  throughput('bytes-64', '64 B Buffers, one producer process, one consumer process', bytes(64), [
    'sage_queue/sync',
    'sage_queue/batch',
    'sage_queue/await',
    'sage_queue/loop',
    'sage_queue/claim',
    'shm/sync',
    'shm/batch',
    'shm/await',
    'local/await',
    ...peers,
    ...threads,
    ...brokers,
    ...pythons,
  ]),
  throughput('objects', 'Objects of five fields, one producer process, one consumer process', objects, [
    'sage_queue/sync',
    'sage_queue/schema',
    'sage_queue/await',
    'sage_queue/loop',
    ...peers,
    'worker_threads',
    ...brokers,
  ]),
  throughput('large-objects', 'Objects of about 10 KiB, one producer process, one consumer process', largeObjects, [
    'sage_queue/sync',
    'sage_queue/await',
    'unix_socket',
    'zeromq',
    'grpc',
    'child_process/json',
    'child_process/advanced',
    'worker_threads',
    'redis/list',
  ]),
  throughput('bytes-65536', '64 KiB Buffers, one producer process, one consumer process', bytes(65536), [
    'sage_queue/sync',
    'sage_queue/claim',
    'sage_queue/await',
    ...peers,
    ...threads,
    'redis/list',
    ...pythons,
  ]),
  {
    id: 'round-trip',
    title: 'Round trip of 64 B between two processes',
    measure: 'round-trip',
    unit: 'µs',
    work: bytes(64),
    topology: '1-1',
    contenders: [
      'sage_queue/sync',
      'sage_queue/await',
      'shm/sync',
      'shm/await',
      'unix_socket',
      'tcp_loopback',
      'zeromq',
      'node-ipc',
      'grpc',
      'child_process/json',
      'child_process/advanced',
      'worker_threads',
      'redis/list',
    ],
  },
  {
    id: 'asleep',
    title: 'Round trip of 64 B, the other side asleep: 2 ms of silence before each',
    measure: 'round-trip',
    unit: 'µs',
    work: bytes(64),
    topology: '1-1',
    pauseMs: 2,
    contenders: [
      'sage_queue/sync',
      'sage_queue/await',
      'unix_socket',
      'zeromq',
      'grpc',
      'child_process/json',
      'worker_threads',
      'redis/list',
    ],
  },
  ...['4-1', '1-4', '4-4'].map((topology) =>
    throughput(
      `processes-${topology}`,
      `64 B Buffers, ${topology.replace('-', ' producers, ')} consumers`
        .replace('1 producers', '1 producer')
        .replace('1 consumers', '1 consumer'),
      bytes(64),
      [
        'sage_queue/sync',
        'sage_queue/await',
        // What one of each moves, in the same rounds.
        'sage_queue/sync@1-1',
        'sage_queue/await@1-1',
        'unix_socket',
        'zeromq',
        'node-ipc',
        'grpc',
        'redis/list',
        ...pythons,
      ],
      topology,
    ),
  ),
  ...sizes,
];

/** What the package means to reach: a ratio of throughput at least so large, or of round trip times at most; `of` names another figure. */
const target = (suite, line, subject, reference, bound) => ({ suite, line, subject, reference, ...bound });
const atLeast = (ratio) => ({ atLeast: ratio });
const atMost = (ratio, of) => ({ atMost: ratio, ...(of && { of }) });

export const targets = [
  target('native-64', 'native core, 64 B, one by one', 'native/sage_1', 'native/spsc_ring', atLeast(0.5)),
  target('native-64', 'native core, 64 B, batches', 'native/sage_64', 'native/spsc_ring', atLeast(1)),
  target('bytes-64', '64 B, putSync / getSync', 'sage_queue/sync', 'unix_socket', atLeast(12)),
  target('bytes-64', '64 B, putSync / getSync', 'sage_queue/sync', 'zeromq', atLeast(15)),
  target('bytes-64', '64 B, putSync / getSync', 'sage_queue/sync', 'child_process/json', atLeast(20)),
  target('bytes-64', '64 B, batches of 64', 'sage_queue/batch', 'unix_socket', atLeast(45)),
  target('bytes-64', '64 B, shm one by one', 'shm/sync', 'unix_socket', atLeast(3)),
  target('bytes-64', '64 B, await put / await get', 'sage_queue/await', 'unix_socket', atLeast(7)),
  target('bytes-64', '64 B, claimSync + consumeSync', 'sage_queue/claim', 'sage_queue/sync', atLeast(0.8)),
  target('objects', 'objects of five fields', 'sage_queue/sync', 'child_process/json', atLeast(10)),
  target('objects', 'objects of five fields', 'sage_queue/sync', 'child_process/advanced', atLeast(20)),
  target('objects', 'objects with a schema', 'sage_queue/schema', 'child_process/json', atLeast(20)),
  target('objects', 'objects with a schema', 'sage_queue/schema', 'child_process/advanced', atLeast(40)),
  target('large-objects', 'objects of 10 KiB', 'sage_queue/sync', 'child_process/json', atLeast(4)),
  target('bytes-65536', '64 KiB, copying', 'sage_queue/sync', 'unix_socket', atLeast(4)),
  target('bytes-65536', '64 KiB, claimSync + consumeSync', 'sage_queue/claim', 'unix_socket', atLeast(8)),
  target('size-1048576', '1 MiB, copying', 'sage_queue/sync', 'unix_socket', atLeast(3)),
  target('round-trip', 'round trip, both blocked in getSync', 'sage_queue/sync', 'unix_socket', atMost(0.5)),
  target('round-trip', 'round trip, both in await get(), median', 'sage_queue/await', 'unix_socket', atMost(0.15)),
  target(
    'round-trip',
    'round trip, both in await get(), mean',
    'sage_queue/await',
    'unix_socket',
    atMost(0.45, 'mean'),
  ),
  target('round-trip', 'round trip, both in await get(), p99', 'sage_queue/await', 'unix_socket', atMost(1.2, 'p99')),
  target('processes-4-1', '64 B, awaited, 4 to 1', 'sage_queue/await', 'unix_socket', atLeast(2)),
  target('processes-4-1', '64 B, blocking, 4 to 1', 'sage_queue/sync', 'unix_socket', atLeast(5)),
  target('processes-1-4', '64 B, blocking, 1 to 4', 'sage_queue/sync', 'sage_queue/sync@1-1', atLeast(0.35)),
  target('processes-4-4', '64 B, awaited, 4 to 4', 'sage_queue/await', 'sage_queue/await@1-1', atLeast(0.6)),
];
