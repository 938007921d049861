/** Prometheus text: OpenMetrics 1.0, which the older text parser reads too. */
import { findSources } from './sources';
import type { Source } from './sources';

export const CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

interface Family {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Undefined: the queue has no such figure. */
  value(source: Source): number | undefined;
}

const aliveIn = (attached: readonly { alive: boolean }[] | undefined): number | undefined =>
  attached?.filter(({ alive }) => alive).length;

const FAMILIES: readonly Family[] = [
  {
    name: 'sage_queue_items',
    type: 'gauge',
    help: 'Items that lie ready.',
    value: ({ segment, stats }) => stats?.qsize ?? segment?.qsize,
  },
  {
    name: 'sage_queue_leased_items',
    type: 'gauge',
    help: 'Items on lease.',
    value: ({ stats }) => stats?.leased,
  },
  {
    name: 'sage_queue_maxsize_items',
    type: 'gauge',
    help: 'Items the queue takes; 0: as many as its bytes allow.',
    value: ({ segment, stats }) => stats?.maxsize ?? segment?.maxsize,
  },
  { name: 'sage_queue_put', type: 'counter', help: 'Items put.', value: ({ stats }) => stats?.putTotal },
  { name: 'sage_queue_get', type: 'counter', help: 'Items taken for good.', value: ({ stats }) => stats?.getTotal },
  {
    name: 'sage_queue_put_bytes',
    type: 'counter',
    help: 'Bytes of the items put, encoded.',
    value: ({ stats }) => stats?.putBytesTotal,
  },
  { name: 'sage_queue_used_bytes', type: 'gauge', help: 'Bytes in use.', value: ({ stats }) => stats?.usedBytes },
  {
    name: 'sage_queue_capacity_bytes',
    type: 'gauge',
    help: 'Bytes reserved for items.',
    value: ({ stats }) => stats?.capacityBytes,
  },
  {
    name: 'sage_queue_segment_bytes',
    type: 'gauge',
    help: 'Shared memory, all in all.',
    value: ({ segment }) => segment?.bytes,
  },
  {
    name: 'sage_queue_waiting_consumers',
    type: 'gauge',
    help: 'Who waits for an item: threads in shared memory, calls elsewhere.',
    value: ({ stats }) => stats?.waitingGetters,
  },
  {
    name: 'sage_queue_waiting_producers',
    type: 'gauge',
    help: 'Who waits for room: threads in shared memory, calls elsewhere.',
    value: ({ stats }) => stats?.waitingPutters,
  },
  {
    name: 'sage_queue_attached',
    type: 'gauge',
    help: 'Living threads that have the segment open.',
    value: ({ segment }) => aliveIn(segment?.attached),
  },
  {
    name: 'sage_queue_recovered',
    type: 'counter',
    help: 'Times that something was recovered from a dead process.',
    value: ({ stats }) => stats?.recovered,
  },
  {
    name: 'sage_queue_redelivered',
    type: 'counter',
    help: 'Items that came back from a lease.',
    value: ({ stats }) => stats?.redelivered,
  },
  {
    name: 'sage_queue_shut_down',
    type: 'gauge',
    help: '1: no more puts.',
    value: ({ segment }) => (segment === undefined ? undefined : Number(segment.shutDown)),
  },
  {
    name: 'sage_queue_created_timestamp_seconds',
    type: 'gauge',
    help: 'When the segment was made, since the epoch.',
    value: ({ segment }) => segment?.createdTimestamp,
  },
];

const escaped = (value: string): string => value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

/** Labels that say nothing are left out. */
const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');

/**
 * Prometheus text (OpenMetrics names and types, counters as counters, labels escaped) of every shared-memory queue of this host that this
 * user may read, and of this process's other handles. Queues of callers (`sage-queue/work`) are left out.
 *
 * @example
 * http.createServer(async (_request, response) => response.end(await prometheusMetrics())).listen(9464, '127.0.0.1');
 */
export async function prometheusMetrics(): Promise<string> {
  const sources = (await findSources()).map((source) => ({ source, labels: labelText(source.labels) }));
  const lines: string[] = [];
  for (const { name, type, help, value } of FAMILIES) {
    const samples = sources.flatMap(({ source, labels }) => {
      const figure = value(source);
      return figure === undefined ? [] : [`${name}${type === 'counter' ? '_total' : ''}{${labels}} ${figure}`];
    });
    if (samples.length > 0) lines.push(`# TYPE ${name} ${type}`, `# HELP ${name} ${help}`, ...samples);
  }
  return [...lines, '# EOF', ''].join('\n');
}
