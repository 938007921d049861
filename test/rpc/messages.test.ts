/** What is said of a connection that failed: the words of gRPC without what it says around them, whatever the failure. */
import * as grpc from '@grpc/grpc-js';
import { describeStreamEnd } from '../../lib/transports/rpc/wire/errors';
import { DEBRIS } from './support/fixture';

const NOTE = '. Resolution note: ';
const LAST = 'No connection established. Last error: ';

/** As grpc-js writes them. */
const details: Record<string, string> = {
  'nothing listens': `${LAST}Error: connect ECONNREFUSED 127.0.0.1:1 (2026-11-28T17:00:00.123Z)${NOTE}`,
  'several addresses': `${LAST}Error: connect ECONNREFUSED ::1:1 (2026-11-28T17:00:00.123Z)${NOTE}\nall addresses failed`,
  'no name': `Name resolution failed for target dns:nowhere.invalid:1${NOTE}`,
  'no answer of the resolver': 'Name resolution failed: getaddrinfo EAI_AGAIN  nowhere.invalid',
  'no last error': `${LAST}undefined${NOTE}`,
  'dropped at once': `${LAST}Failed to connect (2026-11-28T17:00:00.123Z)${NOTE}`,
  certificates: `${LAST}Error: self-signed certificate in certificate chain\n    at TLSSocket.onConnectSecure${NOTE}`,
  'an alert': `${LAST}Error: 40C7:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:\n../deps/openssl/ssl/record/rec_layer_s3.c:1605:SSL alert number 116\n${NOTE}`,
  'plain text': `${LAST}Error: write EPROTO 40C7:error:0A00010B:SSL routines:ssl3_get_record:wrong version number${NOTE}`,
  'a proxy': 'Received HTTP status code 413',
  'not gRPC': 'Protocol error: \r\nHTTP/1.1 400 Bad Request',
  reset: 'read ECONNRESET',
  'nothing at all': '',
};
const codes = [
  grpc.status.UNAVAILABLE,
  grpc.status.UNAUTHENTICATED,
  grpc.status.RESOURCE_EXHAUSTED,
  grpc.status.INTERNAL,
];

describe.each([undefined, { variable: 'http_proxy', where: 'proxy:3128' }])('by the proxy %j', (proxy) => {
  test.each(Object.entries(details))('%s', (_what, text) => {
    for (const code of codes) {
      const status = { code, details: text, metadata: new grpc.Metadata() };
      const { message } = describeStreamEnd('host:1', 'orders', status, grpc, proxy).error;
      expect(message).not.toMatch(DEBRIS);
      expect(message).toMatch(/host:1/);
      expect(message).toMatch(/[^\s:;,.(]$/);
    }
  });
});
