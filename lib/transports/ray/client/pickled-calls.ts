/** What goes to Ray and comes from it as pickles: arguments, definitions, results, errors, references. */
import { QueueConnectionError, SerializationError } from '../../../errors';
import { failureOf, fromPython } from '../errors';
import { convertNode, readPickle } from '../pickle/convert';
import { parsePickle } from '../pickle/read';
import { asTuple, PickleError, PyDict, PyException, PyGlobal, PyObject, PyPersistent, PyTuple } from '../pickle/types';
import { writePickle } from '../pickle/write';

/** Keyword arguments of a Python call. */
export type Kwargs = { readonly [name: string]: unknown };

/** A Python class, or function: importable on the cluster, or as source text that defines it. */
export type ActorClass = { module: string; name: string } | { source: string; name: string };

/** What Ray writes for an object reference inside a value: `PickleStub(type, client_id, ref_id, name, baseline_options)`. */
export function objectIn({ id: stub }: PyPersistent): { clientId: string; id: Uint8Array } {
  const fields = stub instanceof PyObject ? stubFields(stub) : [];
  const [type, clientId, id] = fields;
  if (type !== 'Object' || typeof clientId !== 'string' || !Buffer.isBuffer(id))
    throw new TypeError(
      `This refers to no object of the cluster but to ${typeof type === 'string' ? type : 'something else'}.`,
    );
  return { clientId, id };
}

/** A named tuple is rebuilt from one tuple of its fields (`copyreg._reconstructor(cls, tuple, fields)`, or `cls.__new__(cls, *fields)`). */
function stubFields(stub: PyObject): readonly unknown[] {
  const last = stub.arguments.at(-1);
  return last instanceof PyTuple ? last.items : stub.arguments.slice(stub.construction === 'newobj' ? 0 : 1);
}

export function encode(value: unknown): Buffer {
  try {
    return writePickle(value);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new SerializationError(`${error.message} See the table of values in docs/ray.md.`, { cause: error });
  }
}

export function pickleArguments(args: readonly unknown[], kwargs: Kwargs): Buffer {
  return encode(asTuple([args, kwargs]));
}

function unreadable(cause: unknown, data: Buffer): SerializationError {
  const message = `A value from Ray cannot be read: ${(cause as Error).message}`;
  return new SerializationError(message, { cause, bytes: data });
}

/** @throws what the pickle says was raised; SerializationError when it cannot be read. */
export function decodeResult(data: Buffer): unknown {
  let value: unknown;
  try {
    value = readPickle(data);
  } catch (cause) {
    throw unreadable(cause, data);
  }
  const failure = failureOf(value);
  if (failure !== undefined) throw failure;
  return value;
}

/** The nodes of a result, so that its parts can be converted one by one. @throws as decodeResult. */
export function parseResult(data: Buffer): unknown {
  let node: unknown;
  try {
    node = parsePickle(data);
  } catch (cause) {
    throw unreadable(cause, data);
  }
  const failure = node instanceof PyObject ? failureOf(convertNode(node)) : undefined;
  if (failure !== undefined) throw failure;
  return node;
}

export function errorOf(pickled: Buffer): Error {
  try {
    const value = readPickle(pickled);
    return value instanceof PyException
      ? fromPython(value)
      : new QueueConnectionError(`Ray refused the call: ${String(value)}`);
  } catch (cause) {
    return new QueueConnectionError('Ray refused the call with an error that cannot be read.', { cause });
  }
}

/** By reference, or by source text that the cluster runs in a namespace of its own; `d` is one dict because nodes keep their identity. */
export function definitionPickle(definition: ActorClass): Buffer {
  if ('module' in definition) return writePickle(new PyGlobal(definition.module, definition.name));
  const names = new PyDict([['__name__', '__main__']]);
  const run = new PyObject('reduce', new PyGlobal('builtins', 'exec'), new PyTuple([definition.source, names]));
  const getItem = new PyGlobal('operator', 'getitem');
  const after = new PyObject('reduce', getItem, new PyTuple([new PyTuple([run, names]), 1]));
  return writePickle(new PyObject('reduce', getItem, new PyTuple([after, definition.name])));
}
