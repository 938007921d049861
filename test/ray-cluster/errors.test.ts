import http from 'node:http';
import net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { QueueDescriptor } from '../../lib/descriptor/descriptor';
import { QueueConnectionError } from '../../lib/errors';
import { RayClient } from '../../lib/transports/ray/client/ray-client';
import { resolveDescriptor } from '../../lib/resolve/registry';
import type { Queue, ResolveOptions } from '../../lib/queue/types';
import { freshName, killActors, PATIENT, rayAddress } from './cluster';

const namespace = freshName('errors');
const client = new RayClient({ address: rayAddress(), namespace, graceMs: 5000 });
const names: string[] = [];
const open: Queue[] = [];

function named(prefix: string): string {
  const name = freshName(prefix);
  names.push(name);
  return name;
}

function rayQueue(address: string | undefined, options?: ResolveOptions, queueId = 'q', extra = {}): Queue {
  const made = resolveDescriptor(QueueDescriptor.createRayQueue(queueId, { address, namespace, ...extra }), {
    ...PATIENT,
    ...options,
  });
  open.push(made);
  return made;
}

afterEach(async () => void (await Promise.all(open.splice(0).map((queue) => queue.close()))));
afterAll(async () => {
  await killActors(client, names);
  await client.close();
});

async function within(ms: number, action: () => Promise<unknown>): Promise<Error> {
  const started = performance.now();
  const error = await action().then(
    () => new Error('no error'),
    (caught: Error) => caught,
  );
  expect(performance.now() - started).toBeLessThan(ms);
  return error;
}

async function listen(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ray://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

test('no cluster: nothing listens there', async () => {
  const server = net.createServer();
  const address = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const error = await within(2000, () => rayQueue(address).put(1));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/Nothing listens at 127\.0\.0\.1/);
});

test('wrong port: a web server', async () => {
  const server = http.createServer((_, response) => response.end('hello'));
  const error = await within(5000, async () => rayQueue(await listen(server)).put(1));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/does not speak gRPC/);
});

test('wrong port: another service of the cluster', async () => {
  const gcs = process.env.RAY_GCS_ADDRESS;
  const error = await within(5000, () => rayQueue(`ray://${gcs}`).put(1));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/no Ray Client server/);
});

test('an address that answers nothing fails when the time to connect is over', async () => {
  const server = net.createServer();
  const address = await listen(server);
  const sockets: net.Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket.on('error', () => {})));
  const error = await within(4000, () => RayClient.connect({ address, connectTimeoutMs: 1500 }));
  for (const socket of sockets) socket.destroy();
  server.close();
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/No answer from .* within 1500 ms/);
});

/** A server that speaks enough of the protocol to refuse in its own way. */
async function impostor(
  datapath: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => void,
  pingError?: grpc.status,
): Promise<[string, grpc.Server]> {
  const server = new grpc.Server();
  const raw = {
    requestSerialize: (b: Buffer) => b,
    requestDeserialize: (b: Buffer) => b,
    responseSerialize: (b: Buffer) => b,
    responseDeserialize: (b: Buffer) => b,
  };
  const unary = { path: '/ray.rpc.RayletDriver/ClusterInfo', requestStream: false, responseStream: false, ...raw };
  const stream = { path: '/ray.rpc.RayletDataStreamer/Datapath', requestStream: true, responseStream: true, ...raw };
  server.addService({ ClusterInfo: unary }, {
    ClusterInfo: (_: unknown, answer: grpc.sendUnaryData<Buffer>) => (pingError === undefined ? answer(null, Buffer.alloc(0)) : answer({ code: pingError, details: 'no' })),
  }); // prettier-ignore
  server.addService({ Datapath: stream }, { Datapath: datapath });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return [`ray://127.0.0.1:${port}`, server];
}

test('wrong token', async () => {
  const [address, server] = await impostor((call) => call.end(), grpc.status.UNAUTHENTICATED);
  const error = await within(3000, () => rayQueue(address, { credentials: { token: 'wrong' } }).put(1));
  server.forceShutdown();
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/did not accept the token/);
});

test('Ray too old', async () => {
  // DataResponse{req_id: 1, init{ok}} and {req_id: 2, connection_info{ray_version: "2.4.0"}}.
  const answers = [Buffer.from([8, 1, 0x32, 2, 8, 1]), Buffer.from([8, 2, 0x2a, 7, 0x12, 5, ...Buffer.from('2.4.0')])];
  const [address, server] = await impostor((call) =>
    call.on('data', () => void (answers.length > 0 && call.write(answers.shift()!))),
  );
  const error = await within(5000, () => rayQueue(address).put(1));
  server.forceShutdown();
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/runs Ray 2\.4\.0, which is too old/);
});

test('an address that is none', async () => {
  expect(() => rayQueue('http://127.0.0.1:10001')).toThrow(QueueConnectionError);
  expect(() => rayQueue('127.0.0.1:6379')).toThrow(/not a Ray Client address/);
});

test('wrong namespace: says where the name is', async () => {
  const queueId = named('q');
  await rayQueue(rayAddress(), {}, queueId).put(1);
  const elsewhere = rayQueue(rayAddress(), { create: 'never' }, queueId, { namespace: freshName('other') });
  const error = await within(10_000, () => elsewhere.get({ timeoutMs: 100 }));
  expect(error).toMatchObject({
    code: 'ERR_QUEUE_NOT_FOUND',
    message: expect.stringContaining(`There is one in namespace '${namespace}'`),
  });
});

test('create: exclusive and never; another maxsize', async () => {
  const queueId = named('q');
  await expect(rayQueue(rayAddress(), { create: 'never' }, queueId).qsize()).rejects.toMatchObject({
    code: 'ERR_QUEUE_NOT_FOUND',
  });
  await rayQueue(rayAddress(), { create: 'exclusive' }, queueId, { maxsize: 5 }).put(1);
  await expect(rayQueue(rayAddress(), { create: 'exclusive' }, queueId).qsize()).rejects.toMatchObject({
    code: 'ERR_QUEUE_EXISTS',
  });
  await expect(rayQueue(rayAddress(), {}, queueId, { maxsize: 6 }).qsize()).rejects.toMatchObject({
    code: 'ERR_QUEUE_CONFIG_MISMATCH',
  });
  expect(await rayQueue(rayAddress(), {}, queueId).qsize()).toBe(1);
});

test('a Python class without the methods', async () => {
  const name = named('counter');
  await client.createActor(
    { source: 'class Counter:\n  def put(self, item): pass\n  def qsize(self): return 0', name: 'Counter' },
    [],
    {},
    { name },
  );
  const queue = resolveDescriptor(
    QueueDescriptor.createRayActorQueue(undefined, name, { address: rayAddress(), namespace }),
    PATIENT,
  );
  open.push(queue);
  await expect(queue.put(1)).rejects.toMatchObject({
    code: 'ERR_QUEUE_CONNECTION',
    message: expect.stringContaining('has no get, empty'),
  });
});

test('an actor that is not to be made', async () => {
  const queue = resolveDescriptor(
    QueueDescriptor.createRayActorQueue(undefined, freshName('none'), {
      address: rayAddress(),
      namespace,
      create: false,
    }),
  );
  open.push(queue);
  await expect(queue.put(1)).rejects.toMatchObject({ code: 'ERR_QUEUE_NOT_FOUND' });
});

test('what Python cannot hold is refused, and the queue is unchanged', async () => {
  const queue = rayQueue(rayAddress(), {}, named('q'));
  for (const item of [() => 1, Symbol('x'), '\ud800', new Date(NaN), new Map([[{}, 1]])]) {
    await expect(queue.put(item)).rejects.toMatchObject({ code: 'ERR_ITEM_SERIALIZATION' });
  }
  expect(await queue.qsize()).toBe(0);
});
