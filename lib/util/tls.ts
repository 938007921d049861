/** Tokens, certificates and keys of the remote types. No message repeats a secret. */
import type * as Grpc from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
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

/**
 * gRPC tells TLS whatever it connects to as the name of the server. An address is no name (RFC 6066), and Node refuses it from version 25 on. There TLS
 * is told a name that spells the address, and the certificate is asked for the address.
 */
const SPELLED = '.address.invalid';
const REFUSES_ADDRESSES = Number(process.versions.node.split('.')[0]) >= 25;

/** Options of a channel to `host`, an address without brackets or a name. */
export const tlsNameFor = (host: string, refuses = REFUSES_ADDRESSES): Grpc.ChannelOptions =>
  refuses && isIP(host) !== 0
    ? { 'grpc.ssl_target_name_override': host.replace(/%.*/, '').replaceAll(':', 'x') + SPELLED }
    : {};

/** The address that such a name spells; any other name is what it is. */
export function certifiedName(name: string): string {
  const address = name.endsWith(SPELLED) ? name.slice(0, -SPELLED.length).replaceAll('x', ':') : '';
  return isIP(address) === 0 ? name : address;
}

/** Of `host:port`, an IPv6 address in brackets. */
export const hostOf = (target: string): string => /^\[?(.*?)\]?:\d+$/.exec(target)?.[1] ?? target;

const VERIFY: Grpc.VerifyOptions = {
  checkServerIdentity: (name: string, certificate: PeerCertificate) =>
    checkServerIdentity(certifiedName(name), certificate),
};

/** For channels that are opened with tlsNameFor(). `where` the certificates and the key come from. @throws as withCertificates() */
export const tlsCredentials = (
  grpc: typeof Grpc,
  where: string,
  roots: Buffer | null,
  key: Buffer | null,
  cert: Buffer | null,
): Grpc.ChannelCredentials => withCertificates(where, () => grpc.credentials.createSsl(roots, key, cert, VERIFY));
