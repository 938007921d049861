/** Metadata of descriptors: what may stand in it, copied, frozen, compared and checked. */
import { InvalidDescriptorError } from '../errors';
import { parseSchema } from './schema';
import { describeValue, isArray } from '../util/describe-value';

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
/** Of a descriptor: snake_case keys, JSON values. */
export type Metadata = { readonly [key: string]: JsonValue };

/** Far more than any descriptor needs, far less than the stack holds. */
const MAX_DEPTH = 100;

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // The prototype of a plain object of another realm (a vm context) is that realm's Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Sets an own property whatever its name: assignment to `__proto__` would set the prototype instead. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else (target as Record<string, unknown>)[key] = value;
}

/** A deeply frozen copy. @throws InvalidDescriptorError for anything that JSON does not give back as it was. */
export function copyMetadata(metadata: unknown): Metadata {
  if (typeof metadata !== 'object' || metadata === null || isArray(metadata)) {
    throw new InvalidDescriptorError(`metadata must be an object, found ${describeValue(metadata)}.`);
  }
  try {
    return copyValue(metadata, 'metadata', 0) as Metadata;
  } catch (error) {
    if (error instanceof InvalidDescriptorError) throw error;
    // A getter or a proxy of the caller's.
    throw new InvalidDescriptorError(`metadata cannot be read: ${(error as Error | null)?.message ?? String(error)}.`, {
      cause: error,
    });
  }
}

function copyValue(value: unknown, path: string, depth: number): JsonValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value === 0 ? 0 : value;
  if (typeof value !== 'object') {
    throw new InvalidDescriptorError(`${path} must be something JSON can hold, found ${describeValue(value)}.`);
  }
  if (depth >= MAX_DEPTH) {
    throw new InvalidDescriptorError(`metadata is nested deeper than ${MAX_DEPTH} levels, or contains itself.`);
  }
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (entry, i) => copyValue(entry, `${path}[${i}]`, depth + 1))) as JsonValue[];
  }
  if (!isPlain(value)) {
    throw new InvalidDescriptorError(`${path} must be something JSON can hold, found an instance of a class.`);
  }
  const copy: { [key: string]: JsonValue } = {};
  for (const [key, entry] of Object.entries(value)) {
    // As JSON does: a key without a value is no key.
    if (entry !== undefined) setOwn(copy, key, copyValue(entry, `${path}.${key}`, depth + 1));
  }
  return Object.freeze(copy);
}

/** Deep equality of JSON values; the order of keys does not count. */
export function deepEqual(a: JsonValue | Metadata | undefined, b: JsonValue | Metadata | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return false;
    return a.length === b.length && a.every((entry, i) => deepEqual(entry as JsonValue, b[i] as JsonValue));
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && deepEqual((a as Metadata)[key], (b as Metadata)[key]))
  );
}

type Checks = Readonly<Record<string, Check>>;
type Check = { expected: string; holds: (value: JsonValue) => boolean };

function isText(value: JsonValue): boolean {
  return typeof value === 'string' && value !== '';
}
function isFlag(value: JsonValue): boolean {
  return typeof value === 'boolean';
}
function isCount(value: JsonValue): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
function isBetween(from: number, to: number, value: JsonValue): boolean {
  return isCount(value) && (value as number) >= from && (value as number) <= to;
}
const text: Check = { expected: 'a non-empty string', holds: isText };
const flag: Check = { expected: 'true or false', holds: isFlag };
const count: Check = { expected: 'a non-negative integer (0 = no limit on the number of items)', holds: isCount };
const integer = (from: number, to: number): Check => ({
  expected: `an integer from ${from} to ${to}`,
  holds: isBetween.bind(undefined, from, to),
});
/** A key, a certificate or a token here would go wherever the descriptor goes. */
const tls: Check = {
  expected: "'off', 'system' or { ca } (certificates, keys and tokens of a client go into ResolveOptions.credentials)",
  holds: (v) => {
    if (v === 'off' || v === 'system') return true;
    if (typeof v !== 'object' || v === null || Array.isArray(v) || Object.keys(v).length !== 1) return false;
    return typeof v.ca === 'string' && !v.ca.includes('PRIVATE KEY-----');
  },
};
const endpoint: Check = {
  expected: `{ server_address, port, tls }, where tls may be absent or ${tls.expected}`,
  holds: (v) => {
    if (typeof v !== 'object' || v === null || Array.isArray(v)) return false;
    const { server_address: address, port: number, tls: security = null } = v;
    if (security !== null && !tls.holds(security)) return false;
    return address !== undefined && text.holds(address) && number !== undefined && port.holds(number);
  },
};

const port = integer(1, 65535);
/** What is wrong with it in detail is for the schema's own error to say. */
const schema: Check = { expected: 'a schema', holds: (value) => parseSchema(value) !== undefined };
const native = {
  maxsize: count,
  capacity_bytes: integer(1, Number.MAX_SAFE_INTEGER),
  codec: text,
  schema,
  mode: integer(0, 0o777),
};
const sage = {
  ...native,
  auto_cleanup: flag,
  namespace: text,
  enable_multi_tenant: flag,
  owner_uid: integer(0, 2 ** 32 - 1),
};
const ray = { maxsize: count, address: text, namespace: text, create: flag };

const BUILT_IN: ReadonlyMap<string, Checks> = new Map(
  Object.entries<Checks>({
    local: { maxsize: count, schema },
    shm: { ...native, shm_name: text },
    sage_queue: sage,
    auto: { ...sage, rpc: endpoint },
    rpc: { maxsize: count, server_address: text, port, tls, codec: text, schema },
    ray_actor: { ...ray, actor_name: text },
    ray_queue: ray,
  }),
);

/**
 * The known keys of the built-in types must hold what they are for; null counts as absent, other keys are the user's own.
 * Whether a key that a type needs is there at all is for that type to say when it is resolved.
 */
export function checkBuiltInMetadata(queueType: string, metadata: Metadata): void {
  for (const [key, check] of Object.entries(BUILT_IN.get(queueType) ?? {})) {
    const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (value === undefined || value === null || check.holds(value)) continue;
    throw new InvalidDescriptorError(`${queueType}: ${key} must be ${check.expected}, found ${describeValue(value)}.`);
  }
  if (BUILT_IN.has(queueType) && isGiven(metadata, 'schema') && isGiven(metadata, 'codec'))
    throw new InvalidDescriptorError(`${queueType}: a schema says how items become bytes; leave codec out.`);
}

function isGiven(metadata: Metadata, key: string): boolean {
  return Object.hasOwn(metadata, key) && metadata[key] !== null;
}
