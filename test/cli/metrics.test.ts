/** Figures for Prometheus. */
import { getLocalQueue } from '../../lib';
import { prometheusMetrics } from '../../lib/metrics';
import { command, expectOneLine, lines, segmentsNamed, start, uniqueName, until } from './command';

const name = uniqueName('metrics');
afterEach(async () => {
  await command(['rm', `*${name}*`]);
  expect(segmentsNamed(name)).toEqual([]);
});

/** Every line is a comment, or a name, labels and a figure; each family is announced once, in front of its samples. */
function check(text: string): void {
  const seen = new Set<string>();
  let family = '';
  for (const line of text.split('\n').slice(0, -2)) {
    const type = /^# TYPE (\S+) (gauge|counter)$/.exec(line);
    if (type !== null) {
      expect(seen).not.toContain(type[1]);
      seen.add((family = type[1]!));
      continue;
    }
    if (/^# HELP \S+ .+\.$/.test(line)) continue;
    const sample = /^([a-z_]+)\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\} \d+(\.\d+)?$/.exec(line);
    expect(sample?.[1]?.replace(/_total$/, '')).toBe(family);
  }
  expect(text.endsWith('\n# EOF\n')).toBe(true);
}

test('tells of every segment that can be read, and of the handles of this process', async () => {
  await command(['put', `sage:${name}`, '--maxsize', '7'], 'a\nb\n');
  const local = getLocalQueue('a "name" with \\ and\nmore', { maxsize: 3 });
  await local.put(1);
  const text = await prometheusMetrics();
  check(text);
  expect(text).toContain(`sage_queue_items{queue="${name}",type="sage_queue"} 2\n`);
  expect(text).toContain(`sage_queue_put_total{queue="${name}",type="sage_queue"} 2\n`);
  expect(text).toContain(`sage_queue_maxsize_items{queue="${name}",type="sage_queue"} 7\n`);
  expect(text).toContain('sage_queue_items{queue="a \\"name\\" with \\\\ and\\nmore",type="local"} 1\n');
  await local.close();
  expect(await prometheusMetrics()).not.toContain('type="local"');
});

test('looking does not remove an empty queue', async () => {
  const { child, outcome } = start(['get', `sage:${name}`, '--follow', '--create']);
  await until('it is there', () => segmentsNamed(name).length === 1);
  child.kill('SIGKILL');
  await outcome;
  await prometheusMetrics();
  await command(['top', '--count', '1']);
  expect(segmentsNamed(name)).toHaveLength(1);
});

test('metrics writes them once, or serves them under /metrics', async () => {
  await command(['put', `sage:${name}`], 'a\n');
  const once = await command(['metrics']);
  expect(once).toMatchObject({ status: 0, stderr: '' });
  check(once.stdout.toString());
  const { child, outcome } = start(['metrics', '--port', '0']);
  let printed = '';
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
  await until('it listens', () => printed.endsWith('\n'));
  const response = await fetch(printed.trim());
  expect(response.headers.get('content-type')).toContain('openmetrics-text');
  expect(await response.text()).toContain(`queue="${name}"`);
  expect((await fetch(new URL('/', printed.trim()))).status).toBe(404);
  const taken = await command(['metrics', '--port', new URL(printed.trim()).port]);
  expect(taken.status).toBe(1);
  expectOneLine(taken.stderr, 'EADDRINUSE');
  child.kill('SIGTERM');
  const told = await outcome;
  expect(told.status).toBe(143);
  expectOneLine(told.stderr, 'interrupted.');
});

test('serve --metrics-port tells them beside the queues', async () => {
  const { child, outcome } = start(['serve', '--port', '0', '--metrics-port', '0', '--queue', `jobs=sage:${name}`]);
  let printed = '';
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
  await until('both listen', () => printed.split('\n').length === 3);
  const [rpc, http] = printed.split('\n') as [string, string];
  expect(await command(['put', `${rpc}jobs`], 'a\n')).toMatchObject({ status: 0 });
  const text = await (await fetch(http)).text();
  check(text);
  expect(text).toContain(`sage_queue_items{queue="${name}",type="sage_queue"} 1\n`);
  const taken = await command(['serve', '--port', '0', '--metrics-port', new URL(http).port]);
  expect(taken.status).toBe(1);
  expectOneLine(taken.stderr, 'EADDRINUSE');
  child.kill('SIGTERM');
  expect((await outcome).status).toBe(143);
});

test('--host is for --port', async () => {
  const outcome = await command(['metrics', '--host', 'localhost']);
  expect(outcome.status).toBe(2);
  expect(lines(outcome)).toEqual([]);
});
