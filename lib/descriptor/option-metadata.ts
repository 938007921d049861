/** From the options of the factories to metadata: every key with a default is written, the others only when given. */
import { InvalidDescriptorError } from '../errors';
import { describeValue } from '../util/describe-value';
import { refuseUnknown } from '../util/known-options';
import { hostIdentity } from './host-identity';
import { givenOptions } from './normalize-options';
import type {
  AutoOptions,
  LocalOptions,
  NativeOptions,
  RayOptions,
  RpcOptions,
  SageOptions,
  ShmOptions,
} from './options';

type Entries = Record<string, unknown>;

const LOCAL = ['maxsize', 'schema'] as const;
const NATIVE = ['maxsize', 'capacityBytes', 'codec', 'schema', 'mode'] as const;
const SAGE = [...NATIVE, 'autoCleanup', 'namespace', 'enableMultiTenant'] as const;
const RPC = ['maxsize', 'tls', 'codec', 'schema'] as const;
const RAY = ['maxsize', 'address', 'namespace', 'create'] as const;
const ENDPOINT = ['serverAddress', 'port', 'tls'] as const;

/** Metadata without the keys whose option was not given; null counts as not given. */
function given(entries: Entries): Entries {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined && value !== null));
}

export function localMetadata(options: LocalOptions | undefined): Entries {
  const { maxsize, schema } = givenOptions(options, LOCAL);
  return { maxsize: maxsize ?? 0, ...given({ schema }) };
}

const nativeKeys = (options: NativeOptions): Entries =>
  given({ capacity_bytes: options.capacityBytes, codec: options.codec, schema: options.schema, mode: options.mode });

export function shmMetadata(shmName: string, options: ShmOptions | undefined): Entries {
  const wanted = givenOptions(options, NATIVE);
  return { shm_name: nonEmpty('shm_name', shmName, SHM_CALLS), maxsize: wanted.maxsize ?? 1000, ...nativeKeys(wanted) };
}

export const sageMetadata = (options: SageOptions | undefined): Entries =>
  sageKeys(givenOptions(options, SAGE), process.getuid?.() ?? null);

function sageKeys(options: SageOptions, uid: number | null): Entries {
  const multiTenant = options.enableMultiTenant ?? true;
  return {
    maxsize: options.maxsize ?? 1000,
    auto_cleanup: options.autoCleanup ?? true,
    namespace: options.namespace ?? null,
    enable_multi_tenant: multiTenant,
    ...(multiTenant === true && uid !== null ? { owner_uid: uid } : {}),
    ...nativeKeys(options),
  };
}

export function rayMetadata(options: RayOptions | undefined): Entries {
  const { maxsize, address, namespace, create } = givenOptions(options, RAY);
  return { maxsize: maxsize ?? 0, ...given({ address, namespace, create }) };
}

export function rpcMetadata(serverAddress: string, port: number | undefined, options: RpcOptions | undefined): Entries {
  const { maxsize, tls, codec, schema } = givenOptions(options, RPC);
  return { ...endpoint('', serverAddress, port), ...given({ maxsize, tls, codec, schema }) };
}

const SHM_CALLS = 'attachToShmQueue(queueId, shmName, options?), or createShmQueue with the same';
const RPC_CALLS = 'getRpcQueue(serverAddress, port, queueId?, options?), or createRpcQueue with the same';
export const RAY_ACTOR_CALLS = 'getRayActorQueue(queueId, actorName, options?), or createRayActorQueue with the same';

/** A socket of the file system has no port. */
function endpoint(of: string, serverAddress: string, port: number | undefined): Entries {
  const address = nonEmpty(`${of}server_address`, serverAddress, of === '' ? RPC_CALLS : undefined);
  if (address.startsWith('unix:')) return given({ server_address: address, port });
  if (port === undefined || port === null)
    throw new InvalidDescriptorError(
      `${of}port must be an integer from 1 to 65535, found none.${of === '' ? ` ${howToCall(RPC_CALLS)}` : ''}`,
    );
  return { server_address: address, port };
}

/** Says where it was made (boot id, device of /dev/shm, uid), so that a reader knows whether the owner's shared memory is within reach. */
export function autoMetadata(options: AutoOptions | undefined): Entries {
  const wanted = givenOptions(options, [...SAGE, 'rpc']);
  const host = hostIdentity();
  const rpc = wanted.rpc ?? undefined;
  if (typeof rpc === 'object') refuseUnknown(rpc, ENDPOINT);
  return {
    ...sageKeys(wanted, host.uid),
    owner_boot_id: host.bootId,
    owner_shm_device: host.shmDevice,
    owner_shm_inode: host.shmInode,
    owner_pid_namespace: host.pidNamespace,
    owner_uid: host.uid,
    ...(rpc === undefined
      ? {}
      : { rpc: { ...endpoint('rpc.', rpc.serverAddress, rpc.port), ...given({ tls: rpc.tls }) } }),
  };
}

/** @param calls that take it, as they look @throws InvalidDescriptorError */
export function nonEmpty(name: string, value: unknown, calls?: string): string {
  if (typeof value === 'string' && value !== '') return value;
  const missing = value === undefined && calls !== undefined ? ` It is missing. ${howToCall(calls)}` : '';
  throw new InvalidDescriptorError(`${name} must be a non-empty string, found ${describeValue(value)}.${missing}`);
}

const howToCall = (calls: string): string => `The call is ${calls}.`;
