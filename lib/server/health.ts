/** grpc.health.v1.Health: whether the server, or one of its services, takes calls. */
import type { Grpc } from '../transports/rpc/wire/grpc';
import { loadGrpc } from '../transports/rpc/wire/grpc';
import { loadMessages, serializer } from '../transports/rpc/wire/protocol';
import { inHeader } from './in-header';

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

interface Request {
  service?: string;
}
interface Response {
  status: number;
}

export class Health {
  private serving = true;
  private readonly watchers = new Set<() => void>();

  constructor(private readonly services: readonly string[]) {}

  addTo(server: Grpc.Server): void {
    const { HealthCheckRequest, HealthCheckResponse } = loadMessages().grpc.health.v1;
    const method = (name: string, responseStream: boolean): Grpc.MethodDefinition<Request, Response> => ({
      path: `/grpc.health.v1.Health/${name}`,
      requestStream: false,
      responseStream,
      requestSerialize: serializer<unknown>(HealthCheckRequest!),
      requestDeserialize: (bytes) => HealthCheckRequest!.decode(bytes) as Request,
      responseSerialize: serializer<unknown>(HealthCheckResponse!),
      responseDeserialize: (bytes) => HealthCheckResponse!.decode(bytes) as Response,
    });
    server.addService(
      { Check: method('Check', false), Watch: method('Watch', true) },
      {
        Check: (call: Grpc.ServerUnaryCall<Request, Response>, callback: Grpc.sendUnaryData<Response>) => {
          const status = this.status(call.request.service);
          const details = inHeader(`unknown service '${call.request.service}'`);
          if (status === SERVICE_UNKNOWN) callback({ code: loadGrpc().status.NOT_FOUND, details });
          else callback(null, { status });
        },
        Watch: (call: Grpc.ServerWritableStream<Request, Response>) => {
          const tell = (): void => void call.write({ status: this.status(call.request.service) });
          this.watchers.add(tell);
          for (const event of ['cancelled', 'close', 'error']) call.on(event, () => this.watchers.delete(tell));
          tell();
        },
      },
    );
  }

  stop(): void {
    this.serving = false;
    for (const tell of this.watchers) tell();
  }

  private status(service: string | undefined): number {
    if (service !== undefined && service !== '' && !this.services.includes(service)) return SERVICE_UNKNOWN;
    return this.serving ? SERVING : NOT_SERVING;
  }
}
