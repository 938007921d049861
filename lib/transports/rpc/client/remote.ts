/** Where a queue of type `rpc` is and how to get there: read out of its descriptor and the options of whoever resolves it. */
import type { QueueDescriptor } from '../../../descriptor/descriptor';
import { InvalidDescriptorError } from '../../../errors';
import type { ResolveOptions } from '../../../queue/types';
import { bearerToken, pem, withCertificates } from '../../../util/tls';
import { isLoopback } from '../wire/addresses';
import type { Grpc } from '../wire/grpc';
import { loadGrpc } from '../wire/grpc';

export interface Remote {
  host: string;
  port: number;
  queueId: string;
  credentials: Grpc.ChannelCredentials;
  token?: string;
}

/**
 * @throws InvalidDescriptorError when the metadata names no server; QueueConnectionError when gRPC is not installed, or the credentials
 *   are of no use.
 */
export function readRemote(descriptor: QueueDescriptor, options: ResolveOptions): Remote {
  const { server_address: host, port } = descriptor.metadata;
  if (typeof host !== 'string' || host === '') {
    throw new InvalidDescriptorError(
      `a descriptor of type 'rpc' needs metadata.server_address, the server's name or address; found ${JSON.stringify(host)}`,
    );
  }
  if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65535) {
    throw new InvalidDescriptorError(
      `a descriptor of type 'rpc' needs metadata.port, from 1 to 65535; found ${JSON.stringify(port)}`,
    );
  }
  return {
    host,
    port: port as number,
    queueId: descriptor.queueId,
    credentials: channelCredentials(host, descriptor, options),
    token: bearerToken('credentials.token', options.credentials?.token),
  };
}

/** Plain text where it cannot leave the machine or where the descriptor says `tls: 'off'`; TLS otherwise. */
function channelCredentials(
  host: string,
  descriptor: QueueDescriptor,
  options: ResolveOptions,
): Grpc.ChannelCredentials {
  const grpc = loadGrpc();
  const { tls } = descriptor.metadata;
  const { ca, cert, key } = options.credentials ?? {};
  const wanted = tls ?? (isLoopback(host) && ca === undefined && cert === undefined ? 'off' : 'system');
  if (wanted === 'off') return grpc.credentials.createInsecure();
  const named =
    typeof wanted === 'object' && wanted !== null && 'ca' in wanted && typeof wanted.ca === 'string'
      ? wanted.ca
      : undefined;
  if (wanted !== 'system' && named === undefined) {
    throw new InvalidDescriptorError(
      `metadata.tls of an 'rpc' descriptor is 'off', 'system' or { ca }; found ${JSON.stringify(tls)}`,
    );
  }
  const authority = ca ?? named;
  const given = (name: string, value: string | undefined): Buffer | null =>
    value === undefined ? null : pem(name, value);
  return withCertificates('credentials', () =>
    grpc.credentials.createSsl(
      given(ca === undefined ? 'metadata.tls.ca' : 'credentials.ca', authority),
      given('credentials.key', key),
      given('credentials.cert', cert),
    ),
  );
}
