/** Where a queue of type `rpc` is and how to get there: read out of its descriptor and the options of whoever resolves it. */
import type { QueueDescriptor } from '../../../descriptor/descriptor';
import { InvalidDescriptorError } from '../../../errors';
import type { ResolveOptions } from '../../../queue/types';
import { bearerToken, pem, tlsCredentials } from '../../../util/tls';
import type { TlsMaterial } from './probe';
import { endpointsOf } from '../wire/addresses';
import type { Endpoint } from '../wire/addresses';
import type { Grpc } from '../wire/grpc';
import { loadGrpc } from '../wire/grpc';

export interface Remote {
  /** The first that answers serves; at least one. */
  endpoints: readonly Endpoint[];
  queueId: string;
  credentials: Grpc.ChannelCredentials;
  /** What they are made of; undefined: plain text. */
  tls: TlsMaterial | undefined;
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
  const endpoints = endpointsOf(host, port as number);
  if (endpoints === undefined) {
    throw new InvalidDescriptorError(
      `metadata.server_address of an 'rpc' descriptor is a name, an address, unix:/path, or several names and addresses with commas; found ${JSON.stringify(host)}. The port stands in metadata.port`,
    );
  }
  const needsPort = endpoints.some((endpoint) => endpoint.host !== '' && !endpoint.target.startsWith('unix:'));
  if (needsPort && (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65535)) {
    throw new InvalidDescriptorError(
      `a descriptor of type 'rpc' needs metadata.port, from 1 to 65535; found ${JSON.stringify(port)}`,
    );
  }
  return {
    endpoints,
    queueId: descriptor.queueId,
    ...channelCredentials(
      endpoints.every((endpoint) => endpoint.isLocal),
      descriptor,
      options,
    ),
    token: bearerToken('credentials.token', options.credentials?.token),
  };
}

/** Plain text where it cannot leave the machine or where the descriptor says `tls: 'off'`; TLS otherwise. */
function channelCredentials(
  isLocal: boolean,
  descriptor: QueueDescriptor,
  options: ResolveOptions,
): Pick<Remote, 'credentials' | 'tls'> {
  const grpc = loadGrpc();
  const { tls } = descriptor.metadata;
  const { ca, cert, key } = options.credentials ?? {};
  const wanted = tls ?? (isLocal && ca === undefined && cert === undefined ? 'off' : 'system');
  if (wanted === 'off') return { credentials: grpc.credentials.createInsecure(), tls: undefined };
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
  const roots = given(ca === undefined ? 'metadata.tls.ca' : 'credentials.ca', authority);
  const own = { key: given('credentials.key', key), cert: given('credentials.cert', cert) };
  return {
    credentials: tlsCredentials(grpc, 'credentials', roots, own.key, own.cert),
    tls: { ca: roots ?? undefined, cert: own.cert ?? undefined, key: own.key ?? undefined },
  };
}
