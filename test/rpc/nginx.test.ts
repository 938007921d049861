/** Behind nginx with `grpc_pass`, as docs/rpc.md says of it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QueueConnectionError } from '../../lib';
import { errorOf, Fixture, until } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const isMissing = spawnSync('nginx', ['-v']).error !== undefined;
const testOrTodo =
  isMissing && process.env.CI !== 'true' ? (title: string) => test.todo(`${title}: left out, no nginx here`) : test;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false));
  });

/** An nginx before the server at that port. @param settings of its location @returns where it listens */
async function nginx(upstream: number, settings: string, listen = 'http2'): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'sage-queue-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; master_process off; pid ${directory}/pid; error_log ${directory}/errors;
    events {}
    http { access_log off; ${temporary.join(' ')}
      server { listen 127.0.0.1:${port} ${listen}; location / { ${settings} grpc_pass grpc://127.0.0.1:${upstream}; } }
    }`,
  );
  const child: ChildProcess = spawn(
    'nginx',
    ['-c', join(directory, 'nginx.conf'), '-p', directory, '-e', join(directory, 'errors')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  fixture.later(async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${readFileSync(join(directory, 'errors'), 'utf8')}`);
    return answers(port);
  }, 10_000);
  return port;
}

testOrTodo(
  'with client_max_body_size 0: batches, loops and leases go through',
  async () => {
    const { port: direct } = await fixture.serve();
    const port = await nginx(direct, 'client_max_body_size 0;');
    const [producer, consumer] = [fixture.client<number>(port), fixture.client<number>(port)];
    const numbers = Array.from({ length: 20_000 }, (_, at) => at);
    const got: number[] = [];
    const reading = (async () => {
      for await (const item of consumer) if (got.push(item) === numbers.length) break;
    })();
    expect(await producer.putMany(numbers)).toBe(numbers.length);
    await reading;
    expect(got).toEqual(numbers);
    await producer.put(7);
    const lease = await consumer.lease();
    await lease.release();
    expect(await consumer.get()).toBe(7);
    const large = Buffer.alloc(8 << 20, 1);
    await (producer as unknown as { put(item: Buffer): Promise<void> }).put(large);
    expect(large.equals((await consumer.get()) as unknown as Buffer)).toBe(true);
  },
  60_000,
);

testOrTodo(
  'with its default of 1 MB: what does not get through fails, what is beside it does not',
  async () => {
    const { port: direct, backing } = await fixture.serve();
    const queue = fixture.client<unknown>(await nginx(direct, ''));
    const before = queue.put('before');
    const large = errorOf(queue.put(Buffer.alloc(2 << 20)));
    const after = queue.put('after');
    await before;
    const error = await large;
    expect(error).toBeInstanceOf(QueueConnectionError);
    expect(error).toMatchObject({ outcome: 'unknown' });
    expect(error.message).toMatch(/sent 8 times .* each time the connection broke/);
    await after;
    expect(await backing.getMany(5)).toEqual(['before', 'after']);
  },
  60_000,
);

testOrTodo(
  'a stream that nginx ends for its silence is opened again by the next call; what waits goes on',
  async () => {
    const { port: direct, backing } = await fixture.serve();
    const port = await nginx(direct, 'client_max_body_size 0; grpc_read_timeout 1s; grpc_send_timeout 1s;');
    const queue = fixture.client<number>(port);
    await queue.put(1);
    expect(await queue.get()).toBe(1);
    // Longer than nginx waits, twice.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await queue.put(2);
    expect(await queue.get()).toBe(2);
    const waiting = queue.get();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await backing.put(3);
    expect(await waiting).toBe(3);
  },
  60_000,
);

testOrTodo('without http2 nginx speaks another protocol, and the error says so', async () => {
  const { port: direct } = await fixture.serve();
  const error = await errorOf(fixture.client(await nginx(direct, '', '')).get({ timeoutMs: 1000 }));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/gRPC/);
});
