import { QueueDescriptor } from '../descriptor/descriptor';
import type { QueueDescriptorJSON } from '../descriptor/descriptor';
import { InvalidDescriptorError, UnknownQueueTypeError } from '../errors';
import { looksLikeUri } from '../descriptor/queue-uri';
import { refuseUnknown } from '../util/known-options';
import { describeValue } from '../util/describe-value';
import type { Queue, QueueFor, QueueImplementation, QueueLike, ResolveOptions } from '../queue/types';
import { expectedProducers } from '../queue/producer-role';
import { LocalQueue } from '../transports/memory/local-queue';
import { SageQueue } from '../transports/shm/sage-queue';
import { ShmQueue } from '../transports/shm/shm-queue';
import { tellOpened } from './lifetime-channels';
import { wrapQueue } from '../queue/adapter/wrap-queue';

/* eslint-disable @typescript-eslint/no-require-imports -- a transport is loaded when a type that needs it is first resolved */
const builtIn: Record<string, () => QueueImplementation> = {
  shm: () => ShmQueue,
  sage_queue: () => SageQueue,
  local: () => LocalQueue,
  ray_actor: () => (require('../transports/ray') as typeof import('../transports/ray')).RayActorQueue,
  ray_queue: () => (require('../transports/ray') as typeof import('../transports/ray')).RayQueue,
  rpc: () =>
    (require('../transports/rpc/client/rpc-queue') as typeof import('../transports/rpc/client/rpc-queue')).RpcQueue,
  auto: () => (require('./auto') as typeof import('./auto')).autoResolver(resolveDescriptor),
};
/* eslint-enable @typescript-eslint/no-require-imports */

const RESOLVE_OPTIONS: readonly (keyof ResolveOptions)[] = [
  'create',
  'credentials',
  'producer',
  'prefetch',
  'answerTimeoutMs',
];
const CREDENTIALS: readonly string[] = ['token', 'ca', 'cert', 'key'];

const implementations = new Map<string, () => QueueImplementation>(Object.entries(builtIn));

/** What this thread resolved and has not let go of. Weak: a handle that nobody can reach needs no closing here. */
const handles = new Set<WeakRef<Queue>>();
const collected = new FinalizationRegistry<WeakRef<Queue>>((handle) => handles.delete(handle));

/** Never part of a descriptor, and so not to be had from a queue. */
const credentials = new WeakMap<Queue, NonNullable<ResolveOptions['credentials']>>();

/** A queue of this descriptor, with the secrets that `beside` was resolved with. */
export const resolveBeside = (
  beside: Queue,
  descriptor: QueueDescriptor,
  create: NonNullable<ResolveOptions['create']>,
): Queue => resolveDescriptor(descriptor, { create, credentials: credentials.get(beside) }) as Queue;

/** Replaces an earlier one. @throws TypeError on null or a non-function, and then changes nothing. */
export function registerQueueImplementation(queueType: string, implementation: QueueImplementation): void {
  if (typeof queueType !== 'string' || queueType === '') {
    throw new TypeError(`A queue type is a non-empty string, found ${describeValue(queueType)}.`);
  }
  if (typeof implementation !== 'function') {
    throw new TypeError(
      `The implementation of queue type '${queueType}' must be a class or a function that takes the descriptor, found ${describeValue(implementation)}.`,
    );
  }
  implementations.set(queueType, () => implementation);
}

/** Says whether there was one. */
export function unregisterQueueImplementation(queueType: string): boolean {
  return implementations.delete(queueType);
}

/** Sorted. */
export function getRegisteredQueueTypes(): string[] {
  return [...implementations.keys()].sort();
}

/**
 * Makes or attaches. Two descriptors that name one resource give handles on one queue. Takes a descriptor (of another copy of the package
 * or of a structured clone, too), its JSON as text or object, or a URI as `QueueDescriptor.fromURI` does.
 * An existing queue keeps its configuration; a descriptor that asks for another, non-default one gets ConfigMismatchError.
 * A registered type that only has put, get, empty and qsize comes back with the rest of `Queue` derived from them.
 *
 * @throws UnknownQueueTypeError naming the type and the registered ones. Errors of the resource itself may come from the first call on the queue.
 * @example
 * const queue = resolveDescriptor<string>(process.argv[2]);
 * for await (const line of queue) console.log(line);
 */
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'sage_queue'>,
  options?: ResolveOptions,
): QueueFor<'sage_queue', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'shm'>,
  options?: ResolveOptions,
): QueueFor<'shm', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'local'>,
  options?: ResolveOptions,
): QueueFor<'local', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'rpc'>,
  options?: ResolveOptions,
): QueueFor<'rpc', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'ray_queue'>,
  options?: ResolveOptions,
): QueueFor<'ray_queue', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'ray_actor'>,
  options?: ResolveOptions,
): QueueFor<'ray_actor', T>;
export function resolveDescriptor<T = unknown>(
  descriptor: QueueDescriptor<'auto'>,
  options?: ResolveOptions,
): QueueFor<'auto', T>;
export function resolveDescriptor<T = unknown, K extends string = string>(
  descriptor: QueueDescriptor<K> | QueueDescriptorJSON | string,
  options?: ResolveOptions,
): QueueFor<K, T>;
export function resolveDescriptor<T = unknown, K extends string = string>(
  descriptor: QueueDescriptor<K> | QueueDescriptorJSON | string,
  options?: ResolveOptions,
): QueueFor<K, T> {
  const wanted = optionsOf(options);
  const known =
    typeof descriptor === 'string' && looksLikeUri(descriptor)
      ? QueueDescriptor.fromURI(descriptor)
      : QueueDescriptor.fromJSON(descriptor);
  const load = implementations.get(known.queueType);
  if (load === undefined) {
    throw new UnknownQueueTypeError(
      `No implementation is registered for queue type '${known.queueType}'; registered are: ${getRegisteredQueueTypes().join(', ')}. ` +
        'Register one with registerQueueImplementation(type, implementation).',
    );
  }
  if (load === builtIn[known.queueType]) refuseUnknownOptions(wanted);
  checkCreate(wanted.create);
  checkProducer(known.queueType, load, wanted);
  const made = instantiate(load(), known, wanted);
  const queue = load === builtIn[known.queueType] ? (made as Queue) : wrapQueue(made, known);
  if (wanted.credentials) credentials.set(queue, wanted.credentials);
  const handle = new WeakRef<Queue>(queue);
  handles.add(handle);
  collected.register(queue, handle);
  tellOpened(queue);
  return queue as unknown as QueueFor<K, T>;
}

function instantiate(
  implementation: QueueImplementation,
  descriptor: QueueDescriptor,
  options: ResolveOptions,
): QueueLike {
  // Arrow functions and methods have no prototype and cannot be constructed; everything else is taken for a class.
  return Object.hasOwn(implementation, 'prototype')
    ? new (implementation as new (descriptor: QueueDescriptor, options: ResolveOptions) => QueueLike)(
        descriptor,
        options,
      )
    : (implementation as (descriptor: QueueDescriptor, options: ResolveOptions) => QueueLike)(descriptor, options);
}

function optionsOf(options: ResolveOptions | null | undefined): ResolveOptions {
  if (options === undefined || options === null) return {};
  if (typeof options === 'object') return options;
  throw new InvalidDescriptorError(`The options must be an object, found ${describeValue(options)}.`);
}

/** Of the package's own types; types of others may have options of their own. @throws TypeError */
function refuseUnknownOptions({ credentials, ...options }: ResolveOptions): void {
  refuseUnknown(options, RESOLVE_OPTIONS);
  if (typeof credentials === 'object' && credentials !== null) refuseUnknown(credentials, CREDENTIALS);
}

function checkCreate(create: unknown): void {
  if (
    create === undefined ||
    create === null ||
    create === 'if-missing' ||
    create === 'never' ||
    create === 'exclusive'
  )
    return;
  throw new InvalidDescriptorError(
    `create must be 'if-missing', 'never' or 'exclusive', found ${describeValue(create)}.`,
  );
}

/** Of the package's own types those of this host alone know when a producer has gone; types of others get the option as it is. */
function checkProducer(queueType: string, load: () => QueueImplementation, { producer }: ResolveOptions): void {
  if (expectedProducers(producer) === undefined || load !== builtIn[queueType]) return;
  if (!queueType.startsWith('ray') && queueType !== 'rpc') return;
  throw new InvalidDescriptorError(
    `producer is for handles of type local, shm and sage_queue; found it with '${queueType}', where nobody can prove that a producer has gone. ` +
      'Let the last producer call shutdown(), or serve a queue whose producers are on its host.',
  );
}

/** What this thread resolved and can still be reached; some may be closed. */
export const openHandles = (): Queue[] => [...handles].flatMap((handle) => handle.deref() ?? []);

/** Closes every handle that this thread resolved and that is still reachable. */
export async function closeAllQueues(): Promise<void> {
  const open = openHandles();
  handles.clear();
  const outcomes = await Promise.allSettled(open.map(async (queue) => queue.close()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
