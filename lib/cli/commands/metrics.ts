import { serveMetrics } from '../../metrics/http';
import { prometheusMetrics } from '../../metrics/openmetrics';
import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';
import { interruption } from '../io/interrupt';

export const metrics: Command = {
  summary: 'Tells the figures of the shared-memory queues of this host to Prometheus',
  usage: 'metrics [--port P] [--host H]',
  help: `Writes them to stdout once, as Prometheus text; with --port they are served under /metrics until Ctrl-C.

  --port P   port to listen on; 0 takes a free one (the address is printed on stdout)
  --host H   address to listen on (default 127.0.0.1)`,
  examples: ['sage-queue metrics | grep sage_queue_items', 'sage-queue metrics --port 9464'],
  options: { port: { type: 'string' }, host: { type: 'string' } },
  operands: [0, 0],
  run,
};

async function run(args: Arguments): Promise<number> {
  const port = args.integer('port');
  if (port === undefined) {
    if (args.text('host') !== undefined) throw new UsageError('--host is for --port.');
    process.stdout.write(await prometheusMetrics());
    return EXIT_OK;
  }
  if (port > 65535) throw new UsageError(`--port takes a port from 0 to 65535, found ${port}.`);
  const stop = interruption();
  const server = await serveMetrics(port, args.text('host'));
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  process.stdout.write(`http://${host}:${server.port}/metrics\n`);
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await server.close();
  throw stop.reason;
}
