/** Where a server listens: addresses, names and sockets of this machine, and what counts as this machine. */
import { BlockList, isIPv6 } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** One place to connect to. */
export interface Endpoint {
  /** A name or an address without brackets; of a socket its path. */
  readonly host: string;
  /** 0 for a socket. */
  readonly port: number;
  /** As gRPC wants it. */
  readonly target: string;
  /** host:port, for messages. */
  readonly where: string;
  /** Whether what goes there stays on this machine. */
  readonly isLocal: boolean;
}

const SOCKET = /^unix:(?:\/\/)?(\/.+)$/s;
/** Letters, digits and what names are made of; no scheme, path, port or space. */
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N}._-]*[\p{L}\p{N}.])?$/u;

/** The path, where this is a socket of this machine (unix:/path). */
export function socketPath(host: string): string | undefined {
  return SOCKET.exec(host)?.[1];
}

/** Without the brackets of an IPv6 address. */
export function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/**
 * One endpoint for each host, several of which stand one after the other with commas. @returns undefined for what is no host
 */
export function endpointsOf(hosts: string, port: number): Endpoint[] | undefined {
  const endpoints = (socketPath(hosts) === undefined ? hosts.split(',') : [hosts]).map((host) =>
    endpointOf(host.trim(), port),
  );
  return endpoints.every((endpoint) => endpoint !== undefined) ? endpoints : undefined;
}

function endpointOf(given: string, port: number): Endpoint | undefined {
  const path = socketPath(given);
  if (path !== undefined) return { host: path, port: 0, target: `unix:${path}`, where: `unix:${path}`, isLocal: true };
  const host = bareHost(given);
  if (!isIPv6(host) && (host !== given || !NAME.test(host))) return undefined;
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return { host, port, target: `dns:${where}`, where, isLocal: isLoopback(host) };
}

/** Whether traffic to this address or name stays on the machine. A name other than localhost is taken to leave it. */
export function isLoopback(host: string): boolean {
  if (socketPath(host) !== undefined) return true;
  if (/^(?:.*\.)?localhost\.?$/i.test(host)) return true;
  const bare = bareHost(host).replace(/^::ffff:(?=\d+\.)/i, '');
  return loopback.check(bare, bare.includes(':') ? 'ipv6' : 'ipv4');
}
