/** Why a server ended a connection before a word was said. gRPC does not tell: it sees only that the connection went. */
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { Endpoint } from '../wire/addresses';
import { CERTIFICATE_EXPIRED, CERTIFICATE_REFUSED, SPEAKS_TLS } from '../wire/errors';

const WITHIN_MS = 1000;
/** How every HTTP/2 connection begins, with an empty SETTINGS frame. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');

export interface TlsMaterial {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

/** Asks once more, without gRPC. @returns what the other side, or TLS, has against it; undefined when it does not say. Never rejects */
export function whyRefused(endpoint: Endpoint, tls: TlsMaterial | undefined): Promise<string | undefined> {
  const { host, port } = endpoint;
  const where = port === 0 ? { path: host } : { host, port };
  return new Promise((resolve) => {
    let socket: TLSSocket;
    try {
      // To a server that was spoken to in plain text nothing is said: whether it answers in TLS is all that is asked.
      socket = connect({ ...where, ...(tls ?? { rejectUnauthorized: false }), ALPNProtocols: ['h2'] });
    } catch {
      return resolve(undefined);
    }
    const end = (reason: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    const timer = setTimeout(end, WITHIN_MS, undefined);
    let shook = false;
    socket.on('error', (error) => end(tls === undefined ? undefined : error.message));
    // A server that does not like the certificate says nothing after the handshake.
    socket.on('close', () => end(shook && tls?.cert !== undefined ? whatOf(tls.cert) : undefined));
    socket.on('data', () => end(undefined));
    socket.once('secureConnect', () => {
      if (tls === undefined) return end(SPEAKS_TLS);
      shook = true;
      socket.write(PREFACE);
    });
  });
}

function whatOf(certificate: Buffer): string {
  try {
    if (Date.parse(new X509Certificate(certificate).validTo) < Date.now()) return CERTIFICATE_EXPIRED;
  } catch {
    // TLS took it.
  }
  return CERTIFICATE_REFUSED;
}
