/** gRPC and the protobuf runtime, loaded at first use: both are optional (docs/adr/0002-grpc-is-an-optional-peer.md). */
import { createRequire } from 'node:module';
import type * as Grpc from '@grpc/grpc-js';
import { QueueConnectionError } from '../../../errors';

export type { Grpc };

let loaded: typeof Grpc | undefined;

/** @throws QueueConnectionError naming the command that installs it. */
export function loadGrpc(): typeof Grpc {
  if (loaded !== undefined) return loaded;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loaded = require('@grpc/grpc-js') as typeof Grpc;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    throw new QueueConnectionError(
      "Queues of type 'rpc' need the package @grpc/grpc-js, which is not installed. Type: npm i @grpc/grpc-js",
    );
  }
  return loaded;
}

/** The protobufjs that @grpc/grpc-js itself depends on, so that nobody has to install it by name. */
export function loadProtobuf(): unknown {
  loadGrpc();
  const fromGrpc = createRequire(require.resolve('@grpc/grpc-js'));
  return createRequire(fromGrpc.resolve('@grpc/proto-loader'))('protobufjs/minimal');
}
