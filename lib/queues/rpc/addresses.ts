/** Addresses and secrets: what counts as this machine, and where a certificate is read from. */
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { QueueConnectionError, QueueError } from '../../errors';
import { describeValue } from '../../metadata';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether traffic to this address or name stays on the machine. A name other than localhost is taken to leave it. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const bare = host.replace(/^\[|\]$/g, '').replace(/^::ffff:(?=\d+\.)/i, '');
  return loopback.check(bare, bare.includes(':') ? 'ipv6' : 'ipv4');
}

/** Whether a header can carry it. What reports that it cannot must not repeat it, as the errors of gRPC would. */
export function fitsHeader(token: string): boolean {
  return /^[!-~](?:[ -~]*[!-~])?$/.test(token);
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
