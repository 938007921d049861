/** The checks of `npm run lint` that are this project's own complain about what is planted, and say what to do. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');

describe('rooms of lib/', () => {
  /** What eslint says of text that stands in for these files. */
  function complaints(planted: [path: string, text: string][]): string[][] {
    const program = `
      import { ESLint } from 'eslint';
      const eslint = new ESLint();
      const said = [];
      for (const [filePath, text] of JSON.parse(process.argv[1])) {
        const [{ messages }] = await eslint.lintText(text, { filePath });
        said.push(messages.map(({ ruleId, message }) => ruleId + ': ' + message));
      }
      console.log(JSON.stringify(said));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', program, JSON.stringify(planted)],
      { cwd: root, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    return JSON.parse(stdout) as string[][];
  }

  test('no import upwards, across transports or in a circle, whatever form it has, and no room without a charter', () => {
    const said = complaints([
      ['lib/wait/planted.ts', "import '../queue/types';"],
      ['lib/codec/planted.ts', "import type { Queue } from '../queue/types';\nexport type Planted = Queue;"],
      ['lib/transports/shm/planted.ts', "export * from '../rpc/client/rpc-queue';"],
      ['lib/work/planted.ts', "export const planted = () => import('../server/queue-server');"],
      ['lib/queue/types.ts', "import './base-queue';"],
      ['lib/planted/planted.ts', 'export {};'],
      ['lib/server/planted.ts', "import '../resolve/registry';\nimport '../transports/rpc/wire/protocol';"],
    ]);
    expect(said[0]).toEqual([expect.stringMatching(/^rooms\/direction: 'wait' may not import 'queue', only: /)]);
    expect(said[1]).toEqual([expect.stringMatching(/'codec' may not import 'queue'/)]);
    expect(said[2]).toEqual([expect.stringMatching(/'transports\/shm' may not import 'transports\/rpc'/)]);
    expect(said[3]).toEqual([expect.stringMatching(/'work' may not import 'server'/)]);
    expect(said[4]).toEqual([expect.stringMatching(/in a circle: queue\/types\.ts → queue\/base-queue\.ts → /)]);
    expect(said[5]).toEqual([expect.stringMatching(/'planted' is no room of lib\/: give it a place/)]);
    expect(said[6]).toEqual([]);
  }, 30_000);
});

const filler = (count: number, line: string): string[] => Array.from({ length: count }, () => line);

describe('sizes', () => {
  const COMMENTS = { ts: '//', cc: '//', py: '#', sh: '#' };
  /** By name: what stands before the line that is repeated, that line, what stands behind it, and the line on which the function begins. */
  const FUNCTIONS: Record<string, [head: string[], line: string, tail: string[], first: number]> = {
    'function.ts': [['', 'export function long(): void {'], '  if (1 > 0) return;', ['}'], 2],
    'method.ts': [['class One {', '  long = (): void => {'], '    void 0;', ['  };', '}'], 2],
    'function.mjs': [['const one = {', '  long() {'], '    void 0;', ['  },', '};'], 2],
    'function.cc': [
      ['namespace {', 'template <class T>', 'int long(const T& all = {}) {'],
      "  if (1'0 > '{') {}",
      ['}', '}'],
      2,
    ],
    'method.h': [['struct One {', '  One(int a) : a_(a) {}', '  void long() const {'], '    // }', ['  }', '};'], 3],
    'function.py': [['class One:', '    async def long(', '        self,', '    ):'], '        pass', [], 2],
  };
  const tests = (length: number): string[] => ["  test('one', () => {", ...filler(length - 2, '    void 0;'), '  });'];
  const group = (...members: string[][]): string[] => ["describe.each([1])('%s', () => {", ...members.flat(), '});'];
  const planted: Record<string, string[]> = {
    'group.ts': group(tests(60), tests(80)),
    'test.ts': group(tests(81)),
  };
  for (const [language, sign] of Object.entries(COMMENTS)) {
    const lines = (count: number): string[] => filler(count, `${sign} a line`);
    const reason = `${sign} Past 400 lines: one table, which is read as a whole.`;
    planted[`short.${language}`] = lines(400);
    planted[`long.${language}`] = lines(401);
    planted[`reason.${language}`] = [reason, ...lines(400)];
    planted[`late.${language}`] = [...lines(400), reason];
  }
  for (const [name, [head, line, tail, first]] of Object.entries(FUNCTIONS)) {
    const own = head.length - first + 1 + Math.min(1, tail.length);
    planted[`80-${name}`] = [...head, ...filler(80 - own, line), ...tail];
    planted[`81-${name}`] = [...head, ...filler(81 - own, line), ...tail];
  }

  let folder: string;
  let said: string[];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sage-queue-sizes-'));
    const files = Object.keys(planted).map((name) => join(folder, name));
    for (const [name, lines] of Object.entries(planted)) writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
    const sizes = join(root, 'scripts/check/sizes.mjs');
    const { stdout, stderr, status } = spawnSync(process.execPath, [sizes, ...files], { encoding: 'utf8' });
    expect([stderr, status]).toEqual(['', 1]);
    said = stdout.replaceAll(`${folder}/`, '').split('\n').filter(Boolean);
    // What is in order is nothing to complain about.
    const one = join(folder, 'short.ts');
    expect(spawnSync(process.execPath, [sizes, one], { encoding: 'utf8' })).toMatchObject({ stdout: '', status: 0 });
  }, 30_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  const about = (name: string): string[] => said.filter((line) => line.startsWith(`${name}:`));

  test.each(Object.keys(COMMENTS))('a file of %s with more than 400 lines says why', (language) => {
    expect(about(`short.${language}`)).toEqual([]);
    for (const name of ['long', 'late'].map((word) => `${word}.${language}`))
      expect(about(name)).toEqual([`${name}:1: 401 lines; split it, or say in its head why not: "Past 400 lines: …"`]);
    expect(about(`reason.${language}`)).toEqual([]);
  });

  test.each(Object.entries(FUNCTIONS))(
    '%s: a function of more than 80 lines, wherever it stands',
    (name, [, , , first]) => {
      expect(about(`80-${name}`)).toEqual([]);
      const complaint = new RegExp(`^81-${name}:${first}: .*long has 81 lines; a function has at most 80$`);
      expect(about(`81-${name}`)).toEqual([expect.stringMatching(complaint)]);
    },
  );

  test('a group of tests is no function, a test is one', () => {
    expect(about('group.ts')).toEqual([]);
    expect(about('test.ts')).toEqual([expect.stringMatching(/^test\.ts:2: .* has 81 lines/)]);
  });
});
