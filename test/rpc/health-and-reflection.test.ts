import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor';
import { Fixture } from './support/fixture';

const fixture = new Fixture();
afterEach(() => fixture.end());

const protos = join(__dirname, '../../proto');

/* eslint-disable @typescript-eslint/no-explicit-any -- clients made at run time from the .proto files */
function clientOf(file: string, service: string, port: number): any {
  const loaded = grpc.loadPackageDefinition(loadSync(join(protos, file), { enums: String }));
  const Service = service.split('.').reduce((scope: any, name) => scope[name], loaded);
  const client = new Service(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  fixture.later(async () => client.close());
  return client;
}

const call = (client: any, method: string, request: object): Promise<any> =>
  new Promise((resolve, reject) =>
    client[method](request, (error: Error | null, response: unknown) => (error ? reject(error) : resolve(response))),
  );

test('health: serving, an unknown service, and not serving while it stops', async () => {
  const { server, port } = await fixture.serve({ token: 'not needed for health' });
  const health = clientOf('grpc/health/v1/health.proto', 'grpc.health.v1.Health', port);
  expect(await call(health, 'check', {})).toMatchObject({ status: 'SERVING' });
  expect(await call(health, 'check', { service: 'sagequeue.v1.QueueService' })).toMatchObject({ status: 'SERVING' });
  for (const service of ['other', 'ü'.repeat(100_000)])
    await expect(call(health, 'check', { service })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
  const watch = health.watch({});
  const seen: string[] = [];
  const over = new Promise<void>((resolve) => {
    watch.on('data', ({ status }: { status: string }) => {
      seen.push(status);
      if (status === 'NOT_SERVING') resolve();
      else void server.stop({ graceMs: 100 });
    });
  });
  watch.on('error', () => {});
  await over;
  expect(seen).toEqual(['SERVING', 'NOT_SERVING']);
});

test('reflection: names the services and gives descriptors that describe the published files', async () => {
  const { port } = await fixture.serve();
  const reflection = clientOf('grpc/reflection/v1/reflection.proto', 'grpc.reflection.v1.ServerReflection', port);
  const ask = (request: object): Promise<any> =>
    new Promise((resolve, reject) => {
      const stream = reflection.serverReflectionInfo();
      stream.on('data', resolve);
      stream.on('error', reject);
      stream.write(request);
      stream.end();
    });
  const { listServicesResponse } = await ask({ listServices: '' });
  const names = listServicesResponse.service.map(({ name }: { name: string }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'sagequeue.v1.QueueService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
    ]),
  );
  const { fileDescriptorResponse } = await ask({ fileContainingSymbol: 'sagequeue.v1.QueueService.Attach' });
  const [bytes] = fileDescriptorResponse.fileDescriptorProto as [Buffer];
  const described = (protobuf as any).Root.fromDescriptor({
    file: [(protobuf as any).descriptor.FileDescriptorProto.decode(bytes)],
  });
  const published = new protobuf.Root().loadSync(join(protos, 'sagequeue/v1/queue.proto'));
  const fields = (root: protobuf.Root, type: string): object =>
    Object.fromEntries(
      root
        .lookupType(`sagequeue.v1.${type}`)
        .fieldsArray.map((field) => [field.id, field.resolve().type.split('.').pop()]),
    );
  for (const type of ['ClientFrame', 'ServerFrame', 'Open', 'Put', 'Delivery', 'Settle'])
    expect(fields(described, type)).toEqual(fields(published, type));
  const missing = await ask({ fileContainingSymbol: 'nobody.knows' });
  expect(missing.errorResponse.errorCode).toBe(grpc.status.NOT_FOUND);
});
