/** The only place that touches `@grpc/grpc-js`: an optional peer dependency, loaded when the first client connects. */
import type * as Grpc from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { QueueConnectionError } from '../../../errors';
import { onAbort } from '../../../wait/abort-listeners';
import { bearerToken, hostOf, pem, tlsCredentials, tlsNameFor } from '../../../util/tls';

export type { Grpc };

export function loadGrpc(): typeof Grpc {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded only when Ray is used
    return require('@grpc/grpc-js') as typeof Grpc;
  } catch (cause) {
    throw new QueueConnectionError(
      'Ray needs the package @grpc/grpc-js, which cannot be loaded. Install it: npm install @grpc/grpc-js',
      { cause },
    );
  }
}

/**
 * PEM texts, or paths of files that hold them, and a bearer token. What is not given is taken from the environment variables that Ray
 * itself reads.
 */
export interface RayCredentials {
  /** Sent as `authorization: Bearer …`. */
  token?: string;
  /** Whom to trust: a PEM text or the path of one. */
  ca?: string;
  /** Who this is: a PEM text or the path of one. */
  cert?: string;
  /** Of `cert`: a PEM text or the path of one. */
  key?: string;
}

/**
 * What was given, its PEMs read, with `RAY_USE_TLS`, `RAY_TLS_*`, `RAY_AUTH_MODE` and `RAY_AUTH_TOKEN*` as Ray's own clients read them.
 * @throws QueueConnectionError naming what cannot be read or used
 */
export function completeCredentials(given?: RayCredentials | null): RayCredentials {
  const env = process.env;
  const read = (name: 'ca' | 'cert' | 'key'): string | undefined => {
    const textOrPath = given?.[name] ?? undefined;
    return textOrPath === undefined ? undefined : pem(`credentials.${name}`, textOrPath).toString();
  };
  const all: RayCredentials = { ca: read('ca'), cert: read('cert'), key: read('key') };
  if (all.ca === undefined && ['1', 'true'].includes((env.RAY_USE_TLS ?? '').toLowerCase())) {
    all.ca = readPem('RAY_TLS_CA_CERT');
    all.cert ??= readPem('RAY_TLS_SERVER_CERT');
    all.key ??= readPem('RAY_TLS_SERVER_KEY');
  }
  all.token = bearerToken('credentials.token', given?.token);
  if (all.token === undefined && (env.RAY_AUTH_MODE ?? '').toLowerCase() === 'token') {
    const path = env.RAY_AUTH_TOKEN_PATH ?? join(homedir(), '.ray', 'auth_token');
    all.token =
      env.RAY_AUTH_TOKEN === undefined
        ? bearerToken(`the token in ${path}`, readToken(path))
        : bearerToken('RAY_AUTH_TOKEN', env.RAY_AUTH_TOKEN);
  }
  return all;
}

function readPem(variable: string): string {
  const path = process.env[variable];
  if (path === undefined)
    throw new QueueConnectionError(`RAY_USE_TLS is set, but ${variable} is not. Set it to the path of a PEM file.`);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new QueueConnectionError(`${variable} names ${path}, which cannot be read.`, { cause });
  }
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new QueueConnectionError(
      `RAY_AUTH_MODE is token, but RAY_AUTH_TOKEN is not set and ${path} cannot be read.`,
      { cause },
    );
  }
}

export interface Channel {
  readonly client: Grpc.Client;
  readonly metadata: () => Grpc.Metadata;
}

const LONGEST_MESSAGE = 2 ** 31 - 1;

export interface ChannelOptions {
  /** `host:port`. */
  target: string;
  credentials: RayCredentials;
  keepaliveMs: number;
}

/** A new channel with a connection of its own. Nothing is connected yet. */
export function openChannel(grpc: typeof Grpc, options: ChannelOptions): Channel {
  const { ca, cert, key, token } = options.credentials;
  const bytes = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  const secure = ca !== undefined || cert !== undefined;
  const client = new grpc.Client(
    options.target,
    secure
      ? tlsCredentials(grpc, 'credentials or RAY_TLS_*', bytes(ca), bytes(key), bytes(cert))
      : grpc.credentials.createInsecure(),
    {
      'grpc.max_receive_message_length': LONGEST_MESSAGE,
      'grpc.max_send_message_length': LONGEST_MESSAGE,
      'grpc.keepalive_time_ms': options.keepaliveMs,
      'grpc.keepalive_timeout_ms': Math.min(options.keepaliveMs, 5000),
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
      'grpc.enable_retries': 0,
      // A pooled connection would be shared with the session that this one replaces.
      'grpc.use_local_subchannel_pool': 1,
      // A proxy from the environment is for the web, not for a cluster's inside.
      'grpc.enable_http_proxy': 0,
      ...tlsNameFor(hostOf(options.target)),
    },
  );
  return {
    client,
    metadata: () => {
      const metadata = new grpc.Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      return metadata;
    },
  };
}

const identity = (bytes: Buffer): Buffer => bytes;

export function openDatapath(
  channel: Channel,
  clientId: string,
  reconnecting: boolean,
): Grpc.ClientDuplexStream<Buffer, Buffer> {
  const metadata = channel.metadata();
  metadata.set('client_id', clientId);
  metadata.set('reconnecting', reconnecting ? 'True' : 'False');
  return channel.client.makeBidiStreamRequest('/ray.rpc.RayletDataStreamer/Datapath', identity, identity, metadata);
}

/** Asks the Ray Client server whether it is there. @throws Grpc.ServiceError, also when the signal fires */
export function ping(
  channel: Channel,
  clientId: string,
  request: Buffer,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const metadata = channel.metadata();
  metadata.set('client_id', clientId);
  return new Promise((resolve, reject) => {
    const call = channel.client.makeUnaryRequest(
      '/ray.rpc.RayletDriver/ClusterInfo',
      identity,
      identity,
      request,
      metadata,
      { deadline: Date.now() + timeoutMs },
      (error) => {
        ignore();
        if (error) reject(error);
        else resolve();
      },
    );
    const ignore = onAbort(signal, () => call.cancel());
  });
}
