/** Errors of Ray, as subclasses of the package's closed set; `code` is that of the set. */
import { QueueConnectionError, QueueError, type QueueErrorOptions } from '../../errors';
import { PyException, PyObject } from './pickle/types';

/** The session with the cluster ended while a call was under way: whether the call took effect is not known. */
export class RaySessionLostError extends QueueConnectionError {
  override readonly outcome = 'unknown' as const;
}

/** The actor is dead, or its node is; whatever it held is gone. */
export class RayActorDiedError extends QueueConnectionError {}

/** The actor is being started again after its death, or its node cannot be reached: another try may succeed. Whether the call took effect is not known. */
export class RayActorUnavailableError extends QueueConnectionError {
  override readonly outcome = 'unknown' as const;
}

/** Of a call that was on its way: what was asked may have happened, or happen later. Other errors come back as they are. */
export function withUnknownOutcome(error: unknown): unknown {
  if (!(error instanceof QueueConnectionError) || error.outcome === 'unknown') return error;
  const Class = error instanceof RayActorDiedError ? RayActorDiedError : QueueConnectionError;
  return new Class(`${error.message} The call was under way: its outcome is unknown.`, { cause: error, outcome: 'unknown' }); // prettier-ignore
}

/** Of a call that had not been sent when the session was lost: nothing happened. Other errors come back as they are. */
export function withoutOutcome(error: unknown): unknown {
  if (!(error instanceof RaySessionLostError || error instanceof RayActorUnavailableError)) return error;
  return new QueueConnectionError(`${error.message} This call had not been sent.`, { cause: error });
}

/** ERR_RAY_TASK: a Python exception raised by what was called. */
export class RayTaskError extends QueueError {
  /** `module.name` of the exception's class. */
  readonly pythonType: string;
  /** Python's traceback as text. */
  readonly remoteTraceback: string;
  /** The exception's arguments as JavaScript values. */
  readonly args: readonly unknown[];

  /** @param where what raised it, as the message is to name it */
  constructor(
    where: string,
    private readonly raised: { pythonType: string; text: string; remoteTraceback: string; args?: readonly unknown[] },
    options?: QueueErrorOptions,
  ) {
    super('ERR_RAY_TASK', `${where} failed in Python: ${raised.pythonType}: ${raised.text}`, options);
    this.pythonType = raised.pythonType;
    this.remoteTraceback = raised.remoteTraceback;
    this.args = raised.args ?? [];
  }

  /** The same, naming what the program called instead of what ran for it. @internal */
  calledAs(where: string): RayTaskError {
    return new RayTaskError(where, this.raised, { cause: this.cause });
  }
}

const DEAD = /^ray\.exceptions\.(?:ActorDiedError|RayActorError|OwnerDiedError|ActorUnschedulableError|NodeDiedError)$/;
const UNAVAILABLE = 'ray.exceptions.ActorUnavailableError';
/** Ray up to 2.10 says the same of an actor that restarts as of a dead one, but for what it does not know yet: how it died. */
const DEAD_OR_RESTARTING = 'ray.exceptions.RayActorError';
const NO_DEATH_KNOWN = /class_name: *\n/;

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
  const said = text('error_msg') || text('base_error_msg') || exception.message;
  if (exception.pythonType === UNAVAILABLE || (exception.pythonType === DEAD_OR_RESTARTING && NO_DEATH_KNOWN.test(said)))
    return new RayActorUnavailableError(`The actor is not available: it is being started again, or its node cannot be reached. Ray says: ${said}`, { cause: exception }); // prettier-ignore
  if (DEAD.test(exception.pythonType))
    return new RayActorDiedError(`The actor is dead. Ray says: ${said}`, { cause: exception });
  if (exception.pythonType !== 'ray.exceptions.RayTaskError') {
    const { pythonType, args } = exception;
    const remoteTraceback = text('traceback_str');
    return new RayTaskError('The call', { pythonType, text: exception.message, remoteTraceback, args }, { cause: exception }); // prettier-ignore
  }
  const cause = exception.attributes.cause ?? exception.args[2];
  const remoteTraceback = text('traceback_str') || String(exception.args[1] ?? '');
  const pythonType = cause instanceof PyException ? cause.pythonType : classOf(cause, remoteTraceback);
  const where = text('function_name') || String(exception.args[0] ?? '');
  const message = cause instanceof PyException ? cause.message : (remoteTraceback.trim().split('\n').pop() ?? '');
  const args = cause instanceof PyException ? cause.args : [];
  return new RayTaskError(where, { pythonType, text: message, remoteTraceback, args }, { cause: exception });
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
