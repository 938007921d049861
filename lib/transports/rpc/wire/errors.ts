/** Errors across the wire: codes to classes, and what a broken stream means in words. */
import {
  ConfigMismatchError,
  ItemTooLargeError,
  QueueClosedError,
  QueueConnectionError,
  QueueEmptyError,
  QueueError,
  QueueExistsError,
  QueueFullError,
  QueueNotFoundError,
  QueueProducerLostError,
  QueueShutDownError,
  QueueTimeoutError,
  SerializationError,
} from '../../../errors';
import type { Grpc } from './grpc';
import { BUSY, CODE_HEADER, STOPPING } from './protocol';

const byCode: Record<string, (message: string) => QueueError> = {
  ERR_QUEUE_EMPTY: (message) => new QueueEmptyError(message),
  ERR_QUEUE_FULL: (message) => new QueueFullError(message),
  ERR_QUEUE_SHUT_DOWN: (message) => new QueueShutDownError(message),
  ERR_QUEUE_CLOSED: (message) => new QueueClosedError(message),
  ERR_QUEUE_NOT_FOUND: (message) => new QueueNotFoundError(message),
  ERR_QUEUE_EXISTS: (message) => new QueueExistsError(message),
  ERR_ITEM_SERIALIZATION: (message) => new SerializationError(message),
  ERR_ITEM_TOO_LARGE: (message) => new ItemTooLargeError(message),
  ERR_QUEUE_CONFIG_MISMATCH: (message) => new ConfigMismatchError(message),
  ERR_QUEUE_TIMEOUT: (message) => new QueueTimeoutError(message),
  ERR_QUEUE_PRODUCER_LOST: (message) => new QueueProducerLostError(message),
};

/** The error that a code from the wire stands for; an unknown code becomes a QueueConnectionError that names it. */
export function errorFromCode(code: string, message: string): QueueError {
  const make = byCode[code];
  return make !== undefined
    ? make(message)
    : new QueueConnectionError(code === 'ERR_QUEUE_CONNECTION' ? message : `${message} (${code})`);
}

export interface ConnectionFailure {
  error: QueueError;
  /** Trying again would end the same way: waiting calls get the error now. */
  permanent: boolean;
  /** Nobody listens there. */
  refused?: boolean;
}

/** What a proxy means by it. */
const HTTP_REASONS: Record<string, string> = {
  413: 'the request is larger than it lets through (nginx: client_max_body_size)',
  502: 'it does not reach the server behind it',
  503: 'it has no server to send this to',
  504: 'the server behind it did not answer in its time',
};

/** Details of a status that say that a server in TLS was spoken to in plain text. */
export const SPEAKS_TLS = 'the server speaks TLS';
/** … and that a server has closed the connection after it saw the client certificate. */
export const CERTIFICATE_EXPIRED = 'alert certificate expired';
export const CERTIFICATE_REFUSED = 'alert unknown ca';
/** Details that say no more than that the connection went before a word was said. */
export const SAYS_NOTHING = /Failed to connect/;

/** What is wrong with a certificate or with TLS itself, as far as the other side says; another attempt ends the same way. */
function explainTls(where: string, details: string): string | undefined {
  const alert = /alert (certificate required|certificate expired|unknown ca|bad certificate|handshake failure)/i.exec(
    details,
  );
  switch (alert?.[1]?.toLowerCase()) {
    case 'certificate required':
    case 'handshake failure':
      return `the server at ${where} asks for a client certificate, and none was given: credentials.cert and credentials.key`;
    case 'certificate expired':
      return `the server at ${where} refused the client certificate in credentials.cert: it has expired`;
    case 'unknown ca':
    case 'bad certificate':
      return `the server at ${where} refused the client certificate in credentials.cert: as it seems, another authority than its own has signed it`;
  }
  if (details === SPEAKS_TLS)
    return `the server at ${where} speaks TLS, and was spoken to in plain text: give credentials.ca, or tls: 'system' in the descriptor`;
  if (/wrong version number|packet length too long/i.test(details))
    return `the server at ${where} does not speak TLS; give tls: 'off' if plain text is meant, or the right port`;
  if (/certificate|self.signed|unable to verify|unable to get (local )?issuer|altname|CERT_|ERR_TLS/i.test(details))
    return `TLS with ${where} failed: ${details}. Check the server's certificate, and the CA given in credentials.ca`;
  return /SSL:|SSL routines|ssl3?_|alert/i.test(details) ? `TLS with ${where} failed: ${details}` : undefined;
}

/** What the end of a stream to `where` (host:port) means. */
export function describeStreamEnd(
  where: string,
  queueId: string,
  status: Grpc.StatusObject | undefined,
  grpc: typeof Grpc,
  proxy?: { variable: string; where: string },
): ConnectionFailure {
  const failure = explainStreamEnd(where, queueId, status, grpc);
  if (proxy === undefined || failure.error.code !== 'ERR_QUEUE_CONNECTION') return failure;
  // Who listens behind a proxy is not known.
  const through = `${failure.error.message}. The way there is the proxy ${proxy.where}, named by ${proxy.variable}; no_proxy exempts hosts`;
  return { ...failure, refused: false, error: new QueueConnectionError(through) };
}

function explainStreamEnd(
  where: string,
  queueId: string,
  status: Grpc.StatusObject | undefined,
  grpc: typeof Grpc,
): ConnectionFailure {
  const connection = (text: string, permanent: boolean): ConnectionFailure => ({
    error: new QueueConnectionError(text),
    permanent,
  });
  if (status === undefined) return connection(`the server at ${where} ended the stream`, false);
  const code = status.metadata.get(CODE_HEADER)[0];
  const details = withoutDebris(status.details);
  if (typeof code === 'string') {
    if (code === STOPPING || code === BUSY) return connection(details, false);
    return { error: errorFromCode(code, details), permanent: true };
  }
  switch (status.code) {
    case grpc.status.UNAUTHENTICATED:
    case grpc.status.PERMISSION_DENIED:
      return connection(`the server at ${where} refused the credentials: ${details || NO_REASON}`, true);
    case grpc.status.UNIMPLEMENTED:
      return connection(
        `what listens at ${where} speaks gRPC but offers no sagequeue.v1.QueueService; is the port right?`,
        true,
      );
    case grpc.status.RESOURCE_EXHAUSTED:
      return connection(`the server at ${where} has no room: ${details || NO_REASON}`, false);
  }
  const tls = explainTls(where, details);
  if (tls !== undefined) return connection(tls, true);
  const [, http] = /HTTP status code (\d+)/.exec(details) ?? [];
  if (http !== undefined) {
    const reason = HTTP_REASONS[http] === undefined ? '' : `: ${HTTP_REASONS[http]}`;
    return connection(`what stands before the server at ${where} answered with HTTP status ${http}${reason}`, false);
  }
  if (/ECONNREFUSED/.test(details)) {
    const refused = `nothing listens at ${where} (connection refused); is the server running, is the port right?`;
    return { ...connection(refused, false), refused: true };
  }
  if (/Name resolution failed|ENOTFOUND|EAI_AGAIN/.test(details))
    return connection(`the host of ${where} has no address: ${details}`, false);
  if (/protocol error|Parse Error|ERR_HTTP2|frame/i.test(details)) {
    return connection(
      `what listens at ${where} does not speak gRPC (${details}); is the port right, does it want TLS?`,
      false,
    );
  }
  const broke = `the connection to ${where} for queue '${queueId}' broke: ${details || grpc.status[status.code]}`;
  // … of a socket of this machine.
  return { ...connection(broke, false), refused: /\bconnect ENOENT\b/.test(details) };
}

const NO_REASON = 'it gives no reason';

/** What gRPC and OpenSSL say around what happened. */
function withoutDebris(details: string): string {
  return details
    .replace(/^No connection established\. Last error: /, '')
    .replace(/\.? ?Resolution note:.*$/s, '')
    .replace(/(?:[0-9A-F]+:)?error:[0-9A-F]+:SSL routines:[^:]*:([^:]*)(?::.*)?$/s, 'SSL: $1')
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, '')
    .replace(/^(?:Error: |undefined$)/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

export function itemTooLarge(length: number, limit: number): ItemTooLargeError {
  return new ItemTooLargeError(
    `the encoded item has ${length} bytes; the server takes at most ${limit} (maxMessageBytes of QueueServer)`,
  );
}
