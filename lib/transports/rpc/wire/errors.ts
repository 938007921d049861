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
  QueueShutDownError,
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
}

/** What the end of a stream to `where` (host:port) means. */
export function describeStreamEnd(
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
  const details = status.details;
  if (typeof code === 'string') {
    if (code === STOPPING || code === BUSY) return connection(details, false);
    return { error: errorFromCode(code, details), permanent: true };
  }
  switch (status.code) {
    case grpc.status.UNAUTHENTICATED:
    case grpc.status.PERMISSION_DENIED:
      return connection(`the server at ${where} refused the credentials: ${details}`, true);
    case grpc.status.UNIMPLEMENTED:
      return connection(
        `what listens at ${where} speaks gRPC but offers no sagequeue.v1.QueueService; is the port right?`,
        true,
      );
    case grpc.status.RESOURCE_EXHAUSTED:
      return connection(`the server at ${where} has no room: ${details}`, false);
  }
  if (/certificate|self.signed|unable to verify|unable to get (local )?issuer|altname|CERT_|ERR_TLS/i.test(details)) {
    const reason = details.replace(/^.*Last error: /s, '');
    return connection(
      `TLS with ${where} failed: ${reason}. Check the server's certificate, and the CA given in credentials.ca`,
      true,
    );
  }
  if (/wrong version number|packet length too long/i.test(details)) {
    return connection(
      `the server at ${where} does not speak TLS; give tls: 'off' if plain text is meant, or the right port`,
      true,
    );
  }
  if (/ssl3?_|SSL routines|alert/i.test(details)) {
    return connection(
      `TLS with ${where} failed: ${details}. Does the server ask for a client certificate (credentials.cert and key)?`,
      true,
    );
  }
  if (/ECONNREFUSED/.test(details))
    return connection(
      `nothing listens at ${where} (connection refused); is the server running, is the port right?`,
      false,
    );
  if (/Name resolution failed|ENOTFOUND|EAI_AGAIN/.test(details))
    return connection(`the host of ${where} has no address: ${details}`, false);
  if (/protocol error|Parse Error|ERR_HTTP2|frame/i.test(details)) {
    return connection(
      `what listens at ${where} does not speak gRPC (${details}); is the port right, does it want TLS?`,
      false,
    );
  }
  return connection(
    `the connection to ${where} for queue '${queueId}' broke: ${details || grpc.status[status.code]}`,
    false,
  );
}

export function itemTooLarge(length: number, limit: number): ItemTooLargeError {
  return new ItemTooLargeError(
    `the encoded item has ${length} bytes; the server takes at most ${limit} (maxMessageBytes of QueueServer)`,
  );
}
