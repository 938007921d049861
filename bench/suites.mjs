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
    'sage_queue/await',
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
      ['sage_queue/sync', 'sage_queue/await', 'unix_socket', 'zeromq', 'grpc', 'redis/list', ...pythons],
      topology,
    ),
  ),
  ...sizes,
];

/** What the package means to reach: a ratio of throughput at least so large, or of round trip times at most. */
export const targets = [
  {
    suite: 'native-64',
    line: 'native core, 64 B, one by one',
    subject: 'native/sage_1',
    reference: 'native/spsc_ring',
    atLeast: 0.5,
  },
  {
    suite: 'native-64',
    line: 'native core, 64 B, batches',
    subject: 'native/sage_64',
    reference: 'native/spsc_ring',
    atLeast: 1,
  },
  {
    suite: 'bytes-64',
    line: '64 B, putSync / getSync',
    subject: 'sage_queue/sync',
    reference: 'unix_socket',
    atLeast: 12,
  },
  { suite: 'bytes-64', line: '64 B, putSync / getSync', subject: 'sage_queue/sync', reference: 'zeromq', atLeast: 15 },
  {
    suite: 'bytes-64',
    line: '64 B, putSync / getSync',
    subject: 'sage_queue/sync',
    reference: 'child_process/json',
    atLeast: 20,
  },
  {
    suite: 'bytes-64',
    line: '64 B, batches of 64',
    subject: 'sage_queue/batch',
    reference: 'unix_socket',
    atLeast: 30,
  },
  { suite: 'bytes-64', line: '64 B, shm one by one', subject: 'shm/sync', reference: 'unix_socket', atLeast: 3 },
  {
    suite: 'objects',
    line: 'objects of five fields',
    subject: 'sage_queue/sync',
    reference: 'child_process/json',
    atLeast: 6,
  },
  {
    suite: 'objects',
    line: 'objects of five fields',
    subject: 'sage_queue/sync',
    reference: 'child_process/advanced',
    atLeast: 12,
  },
  { suite: 'bytes-65536', line: '64 KiB, copying', subject: 'sage_queue/sync', reference: 'unix_socket', atLeast: 2 },
  {
    suite: 'bytes-65536',
    line: '64 KiB, claimSync + consumeSync',
    subject: 'sage_queue/claim',
    reference: 'unix_socket',
    atLeast: 8,
  },
  {
    suite: 'bytes-64',
    line: '64 B, await put / await get',
    subject: 'sage_queue/await',
    reference: 'unix_socket',
    atLeast: 3,
  },
  {
    suite: 'round-trip',
    line: 'round trip, both blocked in getSync',
    subject: 'sage_queue/sync',
    reference: 'unix_socket',
    atMost: 0.5,
  },
  {
    suite: 'round-trip',
    line: 'round trip, both in await get()',
    subject: 'sage_queue/await',
    reference: 'unix_socket',
    atMost: 1.5,
  },
];
