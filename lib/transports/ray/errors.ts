/** Errors of Ray, as subclasses of the package's closed set; `code` is that of the set. */
import { QueueConnectionError, QueueError, type QueueErrorOptions } from '../../errors';
import { PyException, PyObject } from './pickle/types';

/** The session with the cluster ended while a call was under way: whether the call took effect is not known. */
export class RaySessionLostError extends QueueConnectionError {
  override readonly outcome = 'unknown' as const;
}

/** The actor is dead, or its node is; whatever it held is gone. */
export class RayActorDiedError extends QueueConnectionError {}

/** ERR_RAY_TASK: a Python exception raised by what was called. */
export class RayTaskError extends QueueError {
  /** `module.name` of the exception's class. */
  readonly pythonType: string;
  /** Python's traceback as text. */
  readonly remoteTraceback: string;
  /** The exception's arguments as JavaScript values. */
  readonly args: readonly unknown[];

  constructor(
    message: string,
    info: { pythonType: string; remoteTraceback: string; args?: readonly unknown[] },
    options?: QueueErrorOptions,
  ) {
    super('ERR_RAY_TASK', message, options);
    this.pythonType = info.pythonType;
    this.remoteTraceback = info.remoteTraceback;
    this.args = info.args ?? [];
  }
}

const DEAD =
  /^ray\.exceptions\.(?:ActorDiedError|RayActorError|OwnerDiedError|ActorUnavailableError|ActorUnschedulableError|NodeDiedError)$/;

/**
 * What a result or a refused call says in Python, as an error to throw; undefined when it is an ordinary value.
 * A failed call's result is an exception of `ray.exceptions`.
 */
export function failureOf(value: unknown): Error | undefined {
  return value instanceof PyException && value.pythonType.startsWith('ray.exceptions.') ? fromPython(value) : undefined;
}

export function fromPython(exception: PyException): Error {
  const text = (key: string): string =>
    typeof exception.attributes[key] === 'string' ? exception.attributes[key] : '';
  if (DEAD.test(exception.pythonType)) {
    return new RayActorDiedError(
      `The actor is dead: ${text('error_msg') || text('base_error_msg') || exception.message}`,
      { cause: exception },
    );
  }
  if (exception.pythonType !== 'ray.exceptions.RayTaskError') {
    const remoteTraceback = text('traceback_str');
    return new RayTaskError(`${exception.pythonType}: ${exception.message}`, { pythonType: exception.pythonType, remoteTraceback, args: exception.args }, { cause: exception }); // prettier-ignore
  }
  const cause = exception.attributes.cause ?? exception.args[2];
  const remoteTraceback = text('traceback_str') || String(exception.args[1] ?? '');
  const pythonType = cause instanceof PyException ? cause.pythonType : classOf(cause, remoteTraceback);
  const where = text('function_name') || String(exception.args[0] ?? '');
  const message = cause instanceof PyException ? cause.message : (remoteTraceback.trim().split('\n').pop() ?? '');
  const args = cause instanceof PyException ? cause.args : [];
  return new RayTaskError(
    `${where} failed in Python: ${pythonType}: ${message}`,
    { pythonType, remoteTraceback, args },
    { cause: exception },
  );
}

/** An exception class of the caller's own comes by value; its name is then the last line of the traceback. */
function classOf(cause: unknown, traceback: string): string {
  if (cause instanceof PyObject && cause.path !== '?') return cause.path;
  return /^([\w.]+)(?::|$)/.exec(traceback.trim().split('\n').pop() ?? '')?.[1] ?? 'unknown';
}

export const isEmpty = (error: unknown): boolean =>
  error instanceof RayTaskError &&
  /^(?:ray\.util\.queue\.Empty|asyncio\.queues\.QueueEmpty|_?queue\.Empty)$/.test(error.pythonType);
export const isFull = (error: unknown): boolean =>
  error instanceof RayTaskError &&
  /^(?:ray\.util\.queue\.Full|asyncio\.queues\.QueueFull|_?queue\.Full)$/.test(error.pythonType);
