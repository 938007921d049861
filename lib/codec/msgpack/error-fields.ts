/** Errors as the fields they travel as, and back. */
import { setOwn } from '../../descriptor/metadata';

/** Own properties of the language's errors that listing does not show. */
const HIDDEN = ['cause', 'errors', 'error', 'suppressed'] as const;

/** The error's own enumerable properties, and what the language keeps of it beside them. */
export function errorFields(error: Error): Record<string, unknown> {
  const { name, message, stack } = error;
  const fields: Record<string, unknown> = { ...error, name: String(name), message: String(message) };
  if (stack !== undefined) fields.stack = String(stack);
  for (const key of HIDDEN)
    if (Object.hasOwn(error, key) && !Object.hasOwn(fields, key))
      fields[key] = (error as unknown as Record<string, unknown>)[key];
  return fields;
}

const errorTypes: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

type SuppressedErrorConstructor = new (error: unknown, suppressed: unknown, message: string) => Error;

/** Of the standard type that `name` says, where its fields are those of that type. */
function makeError(name: unknown, message: string, own: Record<string, unknown>): Error {
  if (name === 'AggregateError' && Array.isArray(own.errors)) return new AggregateError(own.errors, message);
  const { SuppressedError } = globalThis as { SuppressedError?: SuppressedErrorConstructor };
  if (name === 'SuppressedError' && SuppressedError !== undefined)
    return new SuppressedError(own.error, own.suppressed, message);
  const type = Object.hasOwn(errorTypes, String(name)) ? (errorTypes[String(name)] as ErrorConstructor) : Error;
  return new type(message);
}

/** The nearest standard error with the sender's name, message, stack and own properties. @throws Error where they are no such fields */
export function restoreError(fields: unknown): Error {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new Error('an Error is no map');
  const { name, message, stack, ...own } = fields as Record<string, unknown>;
  const error = makeError(name, String(message), own);
  const hidden = (key: string, value: unknown): void => {
    Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
  };
  hidden('stack', stack === undefined ? undefined : String(stack));
  if (error.name !== name) hidden('name', String(name));
  for (const [key, value] of Object.entries(own)) {
    if (key === 'cause') hidden(key, value);
    // AggregateError and SuppressedError have theirs by now.
    else if (!Object.hasOwn(error, key)) setOwn(error, key, value);
  }
  return error;
}
