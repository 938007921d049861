/** Every program of examples/ runs as it stands, and prints what its guide says. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EXAMPLES, runExample as run, segments } from './run';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-examples-'));
afterAll(() => rmSync(directory, { recursive: true }));

const tried = new Set<string>();
const example = (name: string, body: () => Promise<void>): void => {
  tried.add(name);
  test(name, body, 60_000);
};

example('worker-pool', async () => {
  const squares = Array.from({ length: 60 }, (_, n) => n)
    .filter((n) => n % 20 !== 7)
    .reduce((sum, n) => sum + n ** 2, 0);
  // The last attempt of one of them may have ended with its worker instead of with an error of its own.
  expect(await run('worker-pool')).toEqual([
    `57 of 60 jobs done, the sum of their squares is ${squares}`,
    ...[7, 27, 47].map((number) => expect.stringMatching(`^number ${number} failed: `)),
  ]);
});

example('ndjson-pipeline', async () => {
  const file = join(directory, 'large.ndjson');
  const lines = Array.from({ length: 10_001 }, (_, n) => JSON.stringify({ kind: 'abc'[n % 3], n }));
  writeFileSync(file, `${lines.join('\n')}\n`);
  expect(await run('ndjson-pipeline', file, '3')).toEqual([
    '10001 records in 21 batches',
    'a 3334',
    'b 3334',
    'c 3333',
  ]);
});

test.each(['ndjson-pipeline', 'mappers-reducer'])('%s ends where there is no file, and its workers with it', (name) => {
  const start = (...args: string[]): ReturnType<typeof spawnSync> =>
    // Workers that stayed would hold the pipe open.
    spawnSync(process.execPath, [join(EXAMPLES, `${name}.mjs`), ...args], { encoding: 'utf8', timeout: 20_000 });
  expect(start()).toMatchObject({ status: 2, stderr: expect.stringContaining(`usage: node ${name}.mjs FILE`) });
  expect(start(join(directory, 'nowhere'))).toMatchObject({ status: 1, stderr: expect.stringContaining('ENOENT') });
});

example('mappers-reducer', async () => {
  const files = ['The fox and the dog.', 'The end of the day, and a fox.', 'and'].map((text, at) => {
    const file = join(directory, `${at}.txt`);
    writeFileSync(file, text);
    return file;
  });
  expect(await run('mappers-reducer', ...files)).toEqual(['4 the', '3 and', '2 fox', '1 a', '1 day']);
  // One mapper fails at once while another still counts.
  const long = join(directory, 'long.txt');
  writeFileSync(long, 'the fox and the dog '.repeat(100_000));
  await expect(run('mappers-reducer', join(directory, 'none.txt'), long)).rejects.toThrow(/none\.txt ended with 1/);
});

example('request-reply', async () => {
  expect(await run('request-reply')).toEqual(['2 3 4', 'RangeError: No square root of -1', '200 answers']);
});

example('priorities', async () => {
  expect(await run('priorities')).toEqual(['!1 !2 !3 !4 u1 !5 !6 u2 u3', 'late']);
});

example('cluster', async () => {
  expect(await run('cluster', '3')).toEqual(['100 of 100 by 3 workers']);
});

example('worker-threads', async () => {
  expect(await run('worker-threads')).toEqual(['88: 1100087778366101931', '89: 1779979416004714189']);
});

example('one-host-to-many', async () => {
  expect(await run('one-host-to-many')).toEqual(['sage_queue', 'rpc', 'through shared memory', 'through the network']);
});

example('http-service', async () => {
  const service = spawn(process.execPath, [join(EXAMPLES, 'http-service.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(createInterface({ input: service.stdout }), 'line')) as [string];
    const address = /listening at (http:\S+)/.exec(line)![1]!;
    const ask = async (password: string): Promise<[number, Record<string, string>]> => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${address}/hash`, { method: 'POST', headers, body: JSON.stringify({ password }) });
      return [answer.status, (await answer.json()) as Record<string, string>];
    };
    const answers = await Promise.all(['correct horse', 'battery staple', 'correct horse'].map(ask));
    expect(answers.map(([status]) => status)).toEqual([200, 200, 200]);
    expect(answers[0]![1].hash).toMatch(/^[0-9a-f]{64}$/);
    expect(answers[2]).toEqual(answers[0]);
    expect(answers[1]).not.toEqual(answers[0]);
    expect(await ask('short')).toEqual([400, { error: 'A password has at least eight characters' }]);
    service.kill('SIGTERM');
    expect((await once(service, 'exit'))[0]).toBe(0);
    expect(segments().filter((segment) => segment.includes(`-${service.pid}`))).toEqual([]);
  } finally {
    service.kill('SIGKILL');
  }
});

test.each([
  ['false', 'A worker of Python ended with 1'],
  [join(directory, 'no-python'), 'ENOENT'],
])('node-and-python ends where its workers do: %s', (python, message) => {
  const program = spawnSync(process.execPath, [join(EXAMPLES, 'node-and-python.mjs')], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, PYTHON: python },
  });
  expect(program).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(message) });
  expect(segments().filter((segment) => segment.includes(`-${program.pid}`))).toEqual([]);
});

/** Needs a cluster: test/ray-cluster/example.test.ts. */
tried.add('node-and-ray');
/** Needs Python with the package: python/tests/test_examples.py. */
tried.add('node-and-python');

test('no example is left out', () => {
  expect(
    readdirSync(EXAMPLES)
      .filter((file) => file.endsWith('.mjs'))
      .map((file) => file.replace('.mjs', ''))
      .sort(),
  ).toEqual([...tried].sort());
});
