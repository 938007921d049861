/** HTTP proxies that the environment names. gRPC knows the variables; which hosts they are for is decided here. */
import type { Endpoint } from '../wire/addresses';

export interface Proxy {
  /** The variable that names it. */
  readonly variable: string;
  /** Without credentials. */
  readonly where: string;
}

/** The proxy that the connection to the endpoint goes through. This machine needs none, nor do the hosts in no_proxy. */
export function proxyFor(endpoint: Endpoint, env: NodeJS.ProcessEnv = process.env): Proxy | undefined {
  const variable = ['grpc_proxy', 'https_proxy', 'http_proxy'].find((name) => env[name]);
  if (variable === undefined || endpoint.isLocal || isExempt(endpoint, env)) return undefined;
  let where: string;
  try {
    where = new URL(env[variable]!).host;
  } catch {
    where = 'an address that is none';
  }
  return { variable, where };
}

/** Entries are * for all, hosts, host:port, or domains, with all that is below them. */
function isExempt({ host, port }: Endpoint, env: NodeJS.ProcessEnv): boolean {
  const list = env.no_grpc_proxy || env.no_proxy || env.NO_PROXY || '';
  const name = host.toLowerCase();
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, domain, only] = /^\*?\.?(.+?)(?::(\d+))?$/.exec(entry.replace(/^\[(.*)\]/, '$1')) ?? [];
      if (entry.includes('::')) return entry.replace(/^\[(.*)\].*$/, '$1') === name;
      if (domain === undefined || (only !== undefined && Number(only) !== port)) return false;
      return name === domain || name.endsWith(`.${domain}`);
    });
}
