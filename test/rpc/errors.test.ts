import * as grpc from '@grpc/grpc-js';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  QueueConnectionError,
  QueueExistsError,
  QueueNotFoundError,
  QueueShutDownError,
  ConfigMismatchError,
} from '../../lib';
import { QueueServer } from '../../lib/rpc';
import type { QueueServerOptions } from '../../lib/rpc';
import { attachMethod } from '../../lib/transports/rpc/wire/protocol';
import { errorOf, Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

async function within<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  expect(performance.now() - started).toBeLessThan(limitMs);
  return result;
}

test('server down: within the timeout, and the message says what was waited for', async () => {
  const queue = fixture.client(1);
  const error = await within(600, () => errorOf(queue.get({ timeoutMs: 300 })));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toMatch(/^get waited 3\d\d ms for the connection to 127\.0\.0\.1:1: nothing listens .*refused/);
  const put = await within(600, () => errorOf(queue.put(1, { timeoutMs: 300 })));
  expect(put.message).toMatch(/^put waited 3\d\d ms/);
});

test('server down: a call that does not wait fails with the first attempt', async () => {
  const queue = fixture.client(1);
  const error = await within(2000, () => errorOf(queue.get({ block: false })));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(await within(2000, () => errorOf(queue.put(1, { block: false })))).toBeInstanceOf(QueueConnectionError);
});

test('server down: a question is given up after a few seconds', async () => {
  const error = await within(4000, () => errorOf(fixture.client(1).qsize()));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('refused');
});

test('wrong port: something that does not speak gRPC', async () => {
  const http = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  fixture.later(async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  const queue = fixture.client((http.address() as AddressInfo).port);
  const error = await within(1200, () => errorOf(queue.get({ timeoutMs: 500 })));
  expect(error).toBeInstanceOf(QueueConnectionError);
});

test('wrong port: a gRPC server without our service', async () => {
  const server = new grpc.Server();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  fixture.later(async () => server.forceShutdown());
  const error = await within(1000, () => errorOf(fixture.client(port).get()));
  expect(error.message).toContain('no sagequeue.v1.QueueService');
});

test('wrong or missing token: at once, and the token is in no message', async () => {
  const { port } = await fixture.serve({ token: 'the-right-one' });
  for (const token of [undefined, 'the-wrong-one', 'the right-one', '']) {
    const error = await within(1000, () => errorOf(fixture.client(port, { credentials: { token } }).get()));
    expect(error).toBeInstanceOf(QueueConnectionError);
    expect(error.message).toContain('token');
    expect(error.message).not.toMatch(/the-right|the-wrong/);
  }
  const queue = fixture.client(port, { credentials: { token: 'the-right-one' } });
  await queue.put(1);
  expect(await queue.get()).toBe(1);
});

test.each(['secret\n', 'sec\0ret', 'secr€t', 'sécret', ' secret', 'secret ', 5])(
  'a token that no header can carry (%j): refused where it is given, and not repeated',
  (given) => {
    const token = given as string;
    const refusal = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (error) {
        return error;
      }
    };
    const atClient = refusal(() => fixture.client(1, { credentials: { token } }));
    expect(atClient).toBeInstanceOf(QueueConnectionError);
    const atServer = refusal(() => new QueueServer({ token }));
    expect(atServer).toBeInstanceOf(TypeError);
    for (const error of [atClient, atServer]) {
      expect((error as Error).message).toContain('token');
      expect((error as Error).message).not.toMatch(/s[eé]c|ret|5/);
    }
  },
);

test('unknown queue id', async () => {
  const { port } = await fixture.serve();
  const error = await within(1000, () => errorOf(fixture.client(port, { queueId: 'other' }).put(1)));
  expect(error).toBeInstanceOf(QueueNotFoundError);
  expect(error.message).toContain("'other'");
  for (const queueId of ['__proto__', 'constructor', 'toString']) {
    expect(await errorOf(fixture.client(port, { queueId }).put(1))).toBeInstanceOf(QueueNotFoundError);
  }
});

test.each(['', 'a'])("an unknown queue id that is too long for a header, and is '%s😀😀😀…'", async (start) => {
  const { port } = await fixture.serve();
  const queueId = start + '😀'.repeat(50_000);
  const error = await errorOf(fixture.client(port, { queueId }).put(1));
  expect(error).toBeInstanceOf(QueueNotFoundError);
  expect(error.message).toMatch(/😀�?…/u);
});

test('exclusive creation of a queue that the server has; a maxsize it does not have', async () => {
  const { port } = await fixture.serve({ maxsize: 7 });
  expect(await errorOf(fixture.client(port, { create: 'exclusive' }).put(1))).toBeInstanceOf(QueueExistsError);
  expect(await errorOf(fixture.client(port, { maxsize: 8 }).put(1))).toBeInstanceOf(ConfigMismatchError);
  await fixture.client(port, { maxsize: 7 }).put(1);
});

test('version skew, either way', async () => {
  const { port } = await fixture.serve();
  const older = fixture.beginStream(port);
  older.send({ open: { protocolVersion: 2, queueId: 'q' } });
  const { code, details } = await older.status;
  expect(code).toBe(grpc.status.FAILED_PRECONDITION);
  expect(details).toMatch(/version 1 .*version 2/);

  const newer = new grpc.Server();
  newer.addService(
    { Attach: attachMethod() },
    { Attach: (served: grpc.ServerDuplexStream<unknown, unknown>) => served.write({ opened: { protocolVersion: 2 } }) },
  );
  const newerPort = await new Promise<number>((resolve, reject) =>
    newer.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  fixture.later(async () => newer.forceShutdown());
  const error = await within(1000, () => errorOf(fixture.client(newerPort).get()));
  expect(error.message).toMatch(/version 2.*version 1/);
});

test('options that would leave the server open, or make it fail later', () => {
  for (const wrong of [{ token: '' }, { token: 7 }, { host: 5 }, { queues: 5 }, { queues: null }, { queues: [] }]) {
    expect(() => new QueueServer(wrong as unknown as QueueServerOptions)).toThrow(TypeError);
  }
  expect(() => new QueueServer({ token: 12345 as unknown as string })).not.toThrow(/12345/);
});

test.each([5, null, 'jobs', {}, [], { put: () => {}, get: () => {} }])(
  'queues that are none (%j) are refused by name when the server is made',
  (wrong) => {
    const options = { queues: { jobs: wrong } } as unknown as QueueServerOptions;
    expect(() => new QueueServer(options)).toThrow(TypeError);
    expect(() => new QueueServer(options)).toThrow(/^queues\.jobs must be a QueueDescriptor, or a queue with put, get/);
  },
);

test('what the function of the queues throws stays with the server', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const { port } = await fixture.serve({
    queues: () => {
      throw new Error('disk of host 17');
    },
  });
  const error = await within(1000, () => errorOf(fixture.client(port).get()));
  expect(error).toBeInstanceOf(QueueConnectionError);
  expect(error.message).toContain('the server could not open the queue');
  expect(error.message).not.toContain('17');
  expect(String(warned.mock.calls[0])).toContain('disk of host 17');
  warned.mockRestore();
});

test('options that are null count as left out', async () => {
  const server = new QueueServer(null as unknown as QueueServerOptions);
  fixture.later(() => server.stop(null as unknown as undefined));
  const { port } = await server.start();
  await expect(fixture.client(port, { queueId: 'none' }).get()).rejects.toBeInstanceOf(QueueNotFoundError);

  const { port: other } = await fixture.serve();
  const queue = fixture.client(other);
  await queue.shutdown(null as unknown as undefined);
  await expect(queue.put(1)).rejects.toBeInstanceOf(QueueShutDownError);
  expect(() => new QueueServer('host' as unknown as QueueServerOptions)).toThrow(/options must be an object/);
});
