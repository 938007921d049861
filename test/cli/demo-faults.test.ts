/** A child of the demo that fails ends it with an error, in seconds; one that is killed is made up for while another is left. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectOneLine, segmentsNamed, start } from './command';

const directory = mkdtempSync(join(tmpdir(), 'sage-queue-faults-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** What is preloaded into every process of a run: it breaks those with the role of FAULT, in the middle of their work. */
const preload = join(directory, 'fault.cjs');
writeFileSync(
  preload,
  `
const [role, how, once] = (process.env.FAULT ?? '').split(' ');
const { openSync } = require('node:fs');
if (process.argv[1]?.endsWith('role.js') && process.argv[2] === role) {
  const strike = () => {
    try {
      if (once) openSync(once, 'wx');
    } catch {
      return;
    }
    if (how === 'killed') process.kill(process.pid, 'SIGKILL');
    throw new Error('broken on purpose');
  };
  if (how === 'without-addon')
    process.dlopen = () => {
      throw new Error('broken on purpose');
    };
  // A producer hears of nothing but the order to go. The others compute.
  else if (role === 'producer') process.once('message', () => setImmediate(strike));
  else {
    // A worker makes sums of numbers, the collector reads those sums as text.
    let calls = 0;
    const kind = role === 'worker' ? 'number' : 'string';
    const struck = ([value]) => typeof value === kind && ++calls === 500;
    globalThis.BigInt = new Proxy(BigInt, { apply: (original, self, args) => (struck(args) && strike(), original(...args)) });
  }
}
`,
);

const WITHIN_MS = 20_000;
const types = ['shm', 'sage_queue', 'rpc'];

async function demoWith(
  fault: string,
  ...args: string[]
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const began = performance.now();
  const { child, outcome } = start(['demo', '--workers', '3', '--value', 'lat', ...args], {
    NODE_OPTIONS: `--require=${preload}`,
    FAULT: fault,
  });
  const { status, stdout, stderr } = await outcome;
  expect(performance.now() - began).toBeLessThan(WITHIN_MS);
  expect(segmentsNamed(`demo-${child.pid}-`)).toEqual([]);
  return { status, stdout: stdout.toString(), stderr };
}

describe.each(types)('%s', (type) => {
  test.each([
    ['collector', 'killed', /The collector ended early: killed by SIGKILL\./],
    ['collector', 'broken', /The collector ended early: broken on purpose\./],
    ['producer', 'killed', /The producer ended early: killed by SIGKILL\./],
    ['worker', 'broken', /The worker \d ended early: broken on purpose\./],
    // Every one of them, so that nobody is left.
    ['worker', 'killed', /The worker \d ended early: killed by SIGKILL\./],
  ])('%s %s: status 1, and who it was', async (role, how, message) => {
    const { status, stdout, stderr } = await demoWith(`${role} ${how}`, '--type', type);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expectOneLine(stderr, message);
  });

  test('one worker of three killed from outside: the others take over', async () => {
    const mark = join(directory, `once-${type}`);
    const { status, stdout, stderr } = await demoWith(`worker killed ${mark}`, '--type', type, '--json');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, killed: 1 });
  });
});

test.each(['shm', 'sage_queue'])('%s: a worker that cannot load the addon', async (type) => {
  const { status, stderr } = await demoWith('worker without-addon', '--type', type);
  expect(status).toBe(1);
  expectOneLine(stderr, /The worker \d ended early: .*broken on purpose/);
});

test.each(['ray_queue', 'ray_actor'])('%s without a cluster says how to get one', async (type) => {
  const none = start(['demo', '--type', type], { RAY_ADDRESS: '' });
  const { status, stderr } = await none.outcome;
  expect(status).toBe(2);
  expectOneLine(stderr, /needs a Ray cluster: give --address ray:\/\/HOST:10001, or set RAY_ADDRESS.*ray start --head/);
  const refused = await start(['demo', '--type', type, '--address', 'ray://127.0.0.1:9']).outcome;
  expect(refused.status).toBe(1);
  expectOneLine(refused.stderr, /Nothing listens at 127\.0\.0\.1:9\./);
  const wrong = await start(['demo', '--type', type, '--address', '127.0.0.1:6379']).outcome;
  expect(wrong.status).toBe(1);
  expectOneLine(wrong.stderr, /not a Ray Client address/);
});

test('options of Ray are refused with another type', async () => {
  for (const option of ['--address', '--ray-tasks']) {
    const { status, stderr } = await start(['demo', option, '1']).outcome;
    expect(status).toBe(2);
    expectOneLine(stderr, `${option} is for --type ray_queue and ray_actor`);
  }
});

test('workers in another language: no such interpreter, one that says rubbish, one that is not there', async () => {
  const none = await start(['demo', '--with-python'], { PYTHON: '/nonexistent/python3' }).outcome;
  expect(none.status).toBe(2);
  expectOneLine(none.stderr, /--with-python needs Python 3\.11 .*pip install sage-queue.*ENOENT/);
  for (const [program, message] of [
    ['/bin/echo', /The worker 4 ended early: it said 'shm:demo-.*which is no news\./],
    ['/bin/true', /The worker 4 ended early: status 0\./],
    ['/nonexistent/worker', /The worker 4 ended early: /],
  ] as const) {
    const { status, stderr } = await demoWith('', '--with-cpp', program);
    expect(status).toBe(1);
    expectOneLine(stderr, message);
  }
});
