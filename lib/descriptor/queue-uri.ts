/** Queues named by a URI, in programs as on the command line. */
import { InvalidDescriptorError } from '../errors';

export const URI_FORMS =
  'shm:NAME, sage:NAME, rpc://HOST:PORT/ID, rpc+unix:/PATH#ID, ray://HOST:PORT/ID or ray-actor://HOST:PORT/NAME';

/** What a URI says; a name of shm and sage is taken as it stands, the others may be percent-encoded. */
export type ParsedUri =
  | { scheme: 'shm' | 'sage'; name: string }
  | { scheme: 'rpc'; host: string; port: number | undefined; id: string }
  | { scheme: 'ray' | 'ray-actor'; address: string; id: string };

/** Whether a text is meant as a URI and not as JSON. */
export function looksLikeUri(text: string): boolean {
  return /^[a-z][a-z+.-]*:/i.test(text);
}

/** @throws InvalidDescriptorError that says what was expected */
export function parseQueueUri(uri: unknown): ParsedUri {
  if (typeof uri !== 'string') throw new InvalidDescriptorError(`A queue's URI is a text: ${URI_FORMS}.`);
  const native = /^(shm|sage):(?!\/\/)(.+)$/s.exec(uri);
  if (native !== null) return { scheme: native[1] as 'shm' | 'sage', name: native[2] as string };
  if (/^rpc\+unix:/.test(uri)) return unixAddress(uri);
  const scheme = /^(rpc|ray|ray-actor):\/\//.exec(uri)?.[1] as 'rpc' | 'ray' | 'ray-actor' | undefined;
  if (scheme === undefined) throw new InvalidDescriptorError(`'${shown(uri)}' names no queue. Expected ${URI_FORMS}.`);
  const { host, port, id } = hostAddress(uri, scheme);
  if (scheme === 'rpc') return { scheme, host, port, id };
  return { scheme, address: `ray://${host.includes(':') ? `[${host}]` : host}:${port}`, id };
}

const shown = (uri: string): string => (uri.length > 100 ? `${uri.slice(0, 100)}…` : uri);

/** HOST:PORT/ID. The id may hold slashes. */
function hostAddress(uri: string, scheme: string): { host: string; port: number; id: string } {
  const parts = /^[a-z-]+:\/\/(\[[^\]]+\]|[^:/@?#]+):(\d+)\/(.+)$/s.exec(uri);
  const port = Number(parts?.[2]);
  if (parts === null || port < 1 || port > 65535) {
    throw new InvalidDescriptorError(
      `'${shown(uri)}' is not ${scheme}://HOST:PORT/${scheme === 'ray-actor' ? 'NAME' : 'ID'} with a port from 1 to 65535.`,
    );
  }
  return { host: parts[1]!.replace(/^\[(.*)\]$/, '$1'), port, id: decoded(uri, parts[3]!) };
}

function unixAddress(uri: string): ParsedUri {
  const parts = /^rpc\+unix:(\/[^#]+)#(.+)$/s.exec(uri);
  if (parts === null)
    throw new InvalidDescriptorError(`'${shown(uri)}' is not rpc+unix:/PATH#ID with the absolute path of a socket.`);
  return { scheme: 'rpc', host: `unix:${decoded(uri, parts[1]!)}`, port: undefined, id: decoded(uri, parts[2]!) };
}

function decoded(uri: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new InvalidDescriptorError(
      `'${shown(uri)}' holds a % that encodes nothing; write %25 for the character itself.`,
      { cause },
    );
  }
}
