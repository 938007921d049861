/** grpc.reflection.v1.ServerReflection (and v1alpha, the same under its older name): tells tools what this server offers. */
import { descriptors } from '../transports/rpc/wire/generated/descriptors';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../transports/rpc/wire/generated/types';
import type { Grpc } from '../transports/rpc/wire/grpc';
import { loadGrpc } from '../transports/rpc/wire/grpc';
import { loadMessages, serializer } from '../transports/rpc/wire/protocol';

const packages = ['grpc.reflection.v1', 'grpc.reflection.v1alpha'];
const offered = [...descriptors.flatMap((file) => file.services), 'grpc.reflection.v1alpha.ServerReflection'];

export function addReflection(server: Grpc.Server): void {
  const { ServerReflectionRequest: Request, ServerReflectionResponse: Response } = loadMessages().grpc.reflection.v1;
  for (const name of packages) {
    const method: Grpc.MethodDefinition<ServerReflectionRequest, ServerReflectionResponse> = {
      path: `/${name}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: serializer<unknown>(Request!),
      requestDeserialize: (bytes) => Request!.decode(bytes) as ServerReflectionRequest,
      responseSerialize: serializer<unknown>(Response!),
      responseDeserialize: (bytes) => Response!.decode(bytes) as ServerReflectionResponse,
    };
    server.addService(
      { ServerReflectionInfo: method },
      {
        ServerReflectionInfo: (call: Grpc.ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>) => {
          call.on('data', (request: ServerReflectionRequest) => {
            call.write({ validHost: request.host ?? '', originalRequest: request, ...answer(request) });
          });
          call.on('end', () => call.end());
        },
      },
    );
  }
}

function answer(request: ServerReflectionRequest): ServerReflectionResponse {
  if (typeof request.listServices === 'string')
    return { listServicesResponse: { service: offered.map((name) => ({ name })) } };
  const { fileByFilename, fileContainingSymbol } = request;
  const file =
    typeof fileByFilename === 'string'
      ? descriptors.find((candidate) => candidate.name === fileByFilename)
      : typeof fileContainingSymbol === 'string'
        ? descriptors.find((candidate) => inPackage(fileContainingSymbol, candidate.services[0]!))
        : undefined;
  if (file === undefined) {
    const asked = fileByFilename ?? fileContainingSymbol ?? 'an extension';
    return { errorResponse: { errorCode: loadGrpc().status.NOT_FOUND, errorMessage: `nothing is known of ${asked}` } };
  }
  return { fileDescriptorResponse: { fileDescriptorProto: [Buffer.from(file.base64, 'base64')] } };
}

/** Each package is one file here. */
function inPackage(symbol: string, service: string): boolean {
  return symbol.startsWith(service.slice(0, service.lastIndexOf('.') + 1));
}
