import type { QueueDescriptor } from '../../descriptor/descriptor';
import { UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { readKeyPair, readPem, readToken, readTokens } from '../credentials';
import { interruption } from '../io/interrupt';
import { parseQueue } from '../queue-uri';
import type { MetricsServer } from '../../metrics/http';
import type { QueueServer, QueueServerOptions } from '../../rpc';

export const serve: Command = {
  summary: 'Puts queues of this host behind a port, for rpc:// clients',
  usage: 'serve --port P [--queue ID=QUEUE …] [options]',
  help: `Clients on other hosts reach --queue ID=QUEUE as rpc://HOST:P/ID; local processes go on using the QUEUE itself. Without --queue
every ID a client asks for is the queue sage:ID.

  --port P             port to listen on; 0 takes a free one (the address is printed on stdout)
  --host H             address to listen on (default 127.0.0.1), or unix:/path for a socket of this machine
  --queue ID=QUEUE     a queue to serve; may be repeated
  --tls-cert F         certificate and key, PEM files; an address beyond loopback needs them
  --tls-key F
  --tls-client-ca F    clients have to show a certificate signed by this one
  --token-file F       clients have to send the token in this file (or in $SAGE_QUEUE_TOKEN)
  --tokens F           several tokens, one in each line of this file, which nobody but its owner may read: TOKEN [QUEUES [RIGHTS]],
                       QUEUES and RIGHTS with commas, * in an ID for anything; rights are put, get, stats and shutdown (default: all)
  --allow-plaintext-beyond-loopback
  --metrics-port P     figures for Prometheus under http://127.0.0.1:P/metrics, as of the command metrics; 0 takes a free one (the address is
                       the second line on stdout)

SIGHUP reads tokens and certificates again; bad ones leave the old ones in force, and a stream whose token was revoked ends. Ctrl-C and
SIGTERM let the calls under way finish, then end it.`,
  examples: [
    'sage-queue serve --port 7411 --queue jobs=sage:jobs',
    'sage-queue serve --port 7411 --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --token-file token',
  ],
  options: {
    port: { type: 'string' },
    host: { type: 'string' },
    queue: { type: 'string', multiple: true },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'tls-client-ca': { type: 'string' },
    'token-file': { type: 'string' },
    tokens: { type: 'string' },
    'allow-plaintext-beyond-loopback': { type: 'boolean' },
    'metrics-port': { type: 'string' },
  },
  operands: [0, 0],
  run,
};

function readQueues(assignments: readonly string[]): Record<string, QueueDescriptor> {
  const queues = new Map<string, QueueDescriptor>();
  for (const assignment of assignments) {
    const [, id, queue] = /^([^=]+)=(.+)$/s.exec(assignment) ?? [];
    if (id === undefined || queue === undefined) {
      throw new UsageError(`--queue takes ID=QUEUE, found '${assignment}'.`);
    }
    if (queues.has(id)) throw new UsageError(`--queue ${id}=… is given twice.`);
    queues.set(id, parseQueue(queue));
  }
  return Object.fromEntries(queues);
}

/** The advice of a QueueServer names its options; here they are flags. */
function inFlags(error: unknown): unknown {
  if (error instanceof Error) {
    error.message = error.message
      .replace('tls: { cert, key }', '--tls-cert F --tls-key F')
      .replace('allowPlaintextBeyondLoopback: true', '--allow-plaintext-beyond-loopback');
  }
  return error;
}

async function run(args: Arguments): Promise<number> {
  const isSocket = args.text('host')?.startsWith('unix:') === true;
  const port = args.integer('port') ?? (isSocket ? 0 : undefined);
  if (port === undefined || port > 65535) throw new UsageError('serve needs --port with a port from 0 to 65535.');
  const metricsPort = args.integer('metrics-port');
  if (metricsPort !== undefined && metricsPort > 65535)
    throw new UsageError(`--metrics-port takes a port from 0 to 65535, found ${metricsPort}.`);
  const secrets = readSecrets(args);
  const assignments = args.texts('queue');
  let server: QueueServer | undefined;
  const stop = interruption(() => {
    try {
      server?.reload(readSecrets(args));
    } catch (error) {
      process.stderr.write(`Nothing was reloaded: ${(error as Error).message}\n`);
    }
  });
  // Loaded here: the other commands do without gRPC.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { QueueServer } = require('../../rpc') as typeof import('../../rpc');
  const serving = (server = new QueueServer({
    host: args.text('host'),
    port,
    ...secrets,
    allowPlaintextBeyondLoopback: args.flag('allow-plaintext-beyond-loopback'),
    queues: assignments.length > 0 ? readQueues(assignments) : (id) => parseQueue(`sage:${id}`),
  }));
  const address = await serving.start().catch((error: unknown) => {
    throw inFlags(error);
  });
  const metrics = await startMetrics(metricsPort, serving);
  const host = address.host.includes(':') ? `[${address.host.replace(/^\[|\]$/g, '')}]` : address.host;
  process.stdout.write(isSocket ? `rpc+${address.host}#\n` : `rpc://${host}:${address.port}/\n`);
  if (metrics !== undefined) process.stdout.write(`http://${metrics.host}:${metrics.port}/metrics\n`);
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await Promise.all([serving.stop(), metrics?.close()]);
  throw stop.reason;
}

async function startMetrics(port: number | undefined, serving: QueueServer): Promise<MetricsServer | undefined> {
  if (port === undefined) return undefined;
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { serveMetrics } = require('../../metrics/http') as typeof import('../../metrics/http');
  try {
    return await serveMetrics(port);
  } catch (error) {
    await serving.stop({ graceMs: 0 });
    throw error;
  }
}

/** What SIGHUP reads again. */
function readSecrets(args: Arguments): Pick<QueueServerOptions, 'token' | 'tokens' | 'tls'> {
  const pair = readKeyPair(args);
  const clientCa = readPem(args, 'tls-client-ca');
  const tokens = readTokens(args);
  return {
    token: tokens === undefined ? readToken(args) : undefined,
    tokens,
    tls: pair === undefined ? undefined : { ...pair, clientCa },
  };
}
