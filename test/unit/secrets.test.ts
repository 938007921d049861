/** Descriptors travel: nothing that is to stay secret may get into one. */
import { InvalidDescriptorError, QueueDescriptor } from '../../lib/index';
import type { Metadata, RpcOptions } from '../../lib/index';

const ca = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const key = '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n';

const makers: [string, (tls: RpcOptions['tls']) => QueueDescriptor][] = [
  ['createRpcQueue', (tls) => QueueDescriptor.createRpcQueue('host', 7000, 'fixrpc', { tls })],
  [
    'createAutoQueue',
    (tls) => QueueDescriptor.createAutoQueue('fixrpc', { rpc: { serverAddress: 'host', port: 7000, tls } }),
  ],
  [
    'metadata',
    (tls) =>
      new QueueDescriptor({
        queueId: 'fixrpc',
        queueType: 'rpc',
        metadata: { server_address: 'host', port: 7000, tls } as Metadata,
      }),
  ],
];

describe.each(makers)('%s', (_, make) => {
  test.each([
    ['a key', { ca, key }],
    ['a certificate', { ca, cert: 'cert.pem' }],
    ['a token', { ca, token: 'secret' }],
    ['a key in the file of the authority', { ca: ca + key }],
    ['an authority that is no text', { ca: 5 }],
  ])('%s in tls is refused, with the place where it belongs', (_what, tls) => {
    let refused: unknown;
    try {
      make(tls as RpcOptions['tls']);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(InvalidDescriptorError);
    expect((refused as Error).message).toContain('ResolveOptions.credentials');
    expect((refused as Error).message).not.toContain('secret');
  });

  test.each(['off', 'system', { ca }, { ca: 'ca.pem' }] as const)('tls %j is fine', (tls) => {
    expect(JSON.stringify(make(tls))).toContain(JSON.stringify(tls));
  });
});
