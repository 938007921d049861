/** What is waited for without end is told once, so that nobody takes it for work. */
import { connect } from 'node:net';
import type { QueueDescriptor } from '../../descriptor/descriptor';

/** A host that answers nothing at all is not waited for any longer than this. */
const ANSWER_MS = 3000;

/** One line on stderr where nothing listens at the address of an rpc queue; its calls go on trying. */
export function tellIfNobodyListens({ queueType, metadata }: QueueDescriptor): void {
  const { server_address: host, port } = metadata;
  if (queueType !== 'rpc' || typeof host !== 'string' || typeof port !== 'number') return;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const probe = connect({ host, port }).unref();
  const tell = (why: string): void => {
    probe.destroy();
    process.stderr.write(`sage-queue: nothing listens at ${where} (${why}); waiting for it.\n`);
  };
  probe.setTimeout(ANSWER_MS, () => tell('no answer'));
  probe.once('connect', () => probe.destroy());
  probe.once('error', ({ code, message }: NodeJS.ErrnoException) => tell(code ?? message));
}
