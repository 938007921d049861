/** Addresses and secrets: what counts as this machine, and where a certificate is read from. */
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';

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

/** A PEM text as it is, anything else as the path of a file that holds one. */
export function pem(textOrPath: string): Buffer {
  return textOrPath.includes('-----BEGIN') ? Buffer.from(textOrPath) : readFileSync(textOrPath);
}
