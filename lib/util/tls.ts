/** Tokens, certificates and keys of the remote types. No message repeats a secret. */
import { readFileSync } from 'node:fs';
import { QueueConnectionError, QueueError } from '../errors';
import { describeValue } from './describe-value';

/** Whether a header can carry it. What reports that it cannot must not repeat it, as the errors of gRPC would. */
export function fitsHeader(token: string): boolean {
  return /^[!-~](?:[ -~]*[!-~])?$/.test(token);
}

/** As it was given; an empty one is for the server to refuse. @throws QueueConnectionError, without the token, where no header can carry it */
export function bearerToken(option: string, token: unknown): string | undefined {
  if (token === undefined || token === null) return undefined;
  if (typeof token === 'string' && (token === '' || fitsHeader(token))) return token;
  throw new QueueConnectionError(
    `${option} must be a text of printable ASCII without spaces at its ends, since it travels in a header. Was a line break read along with it?`,
  );
}

/**
 * A PEM text as it is, anything else as the path of a file that holds one.
 * @throws QueueConnectionError naming the option, and the path unless it might be a key that is no PEM
 */
export function pem(option: string, textOrPath: unknown): Buffer {
  if (typeof textOrPath !== 'string')
    throw new QueueConnectionError(
      `${option} must be a PEM text or the path of one, found ${describeValue(textOrPath)}`,
    );
  if (textOrPath.includes('-----BEGIN')) return Buffer.from(textOrPath);
  try {
    return readFileSync(textOrPath);
  } catch (error) {
    const path = option.endsWith('key') ? '' : ` ${describeValue(textOrPath)}`;
    throw new QueueConnectionError(
      `${option}${path} is neither a PEM text nor the path of a file that can be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

/** What `make` makes of certificates and keys. @throws QueueConnectionError saying what OpenSSL has against them */
export function withCertificates<T>(where: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof QueueError) throw error;
    throw new QueueConnectionError(
      `TLS cannot use the certificates or the key in ${where}: ${(error as Error).message}`,
    );
  }
}
