/**
 * Every block of code in README and docs runs as it stands there, in the order of its page, and prints what it says.
 *
 * What stands behind the language of a block: `file` writes it for the blocks behind it, `with=NAME` hands it what it takes for given,
 * `of=PATH` says that it is a part of an example (`test/examples` runs that), and `elsewhere=PATH` names the test that runs it where this one cannot.
 * Blocks of C and C++ are compiled.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SHM } from '../shm/place';
import { blocks, pages, ROOT } from './pages';
import type { Block } from './pages';
import { compile, isCompiled, isProgram, partOf, Project, promised, ranElsewhere } from './run-block';

const SECONDS = 20;
const segments = (): string[] => readdirSync(SHM).filter((file) => file.startsWith('sage-queue+'));
const programs = (page: string): Block[] => blocks(page).filter(isProgram);

test('blocks that are compiled', () => {
  const compiled = pages.flatMap((page) => blocks(page).filter(isCompiled));
  expect(compiled.map(({ page, line }) => `${page}:${line}`).length).toBeGreaterThan(0);
  for (const block of compiled)
    expect({ line: block.line, found: compile(block) }).toEqual({ line: block.line, found: '' });
});

test('blocks in other languages are a part of an example, or name what does the same', () => {
  const documents = pages.filter((page) => page === 'README.md' || page.startsWith('docs/'));
  const others = documents.flatMap((page) =>
    blocks(page).filter(
      (block) => block.language !== 'text' && block.language !== '' && !isProgram(block) && !isCompiled(block),
    ),
  );
  const path = ({ words }: Block): string | undefined =>
    words.find((word) => /^(of|elsewhere)=/.test(word))?.split('=')[1];
  expect(others.filter((block) => !existsSync(join(ROOT, path(block) ?? 'none')))).toEqual([]);
  expect(others.filter((block) => partOf(block)?.found === false)).toEqual([]);
});

const wanted = pages.filter((page) => !/^(docs\/(adr|reference)|test)\//.test(page) && programs(page).length > 0);

test('there are pages with programs', () => expect(wanted).toContain('README.md'));

describe.each(wanted)('%s', (page) => {
  const project = new Project();
  afterAll(() => {
    project.remove();
    // Only those that the page names: other tests have queues of their own meanwhile.
    const named = new Set(programs(page).flatMap(({ code }) => code.match(/[\w.-]+/g) ?? []));
    for (const file of segments()) if (named.has(file.split('+').at(-1)!)) rmSync(join(SHM, file), { force: true });
  });

  test.each(programs(page).map((block) => [block.line, block.code.split('\n')[0]!, block]))(
    'line %d: %s',
    (_line, _first, block) => {
      if (ranElsewhere(block) !== undefined) return;
      const part = partOf(block);
      if (part !== undefined) {
        expect(part).toEqual({ path: part.path, found: true });
        return;
      }
      const { status, stdout, stderr } = project.run(block, SECONDS);
      const lines = promised(block);
      const printed = stdout.trimEnd().split('\n');
      expect({ status, stderr, ...(lines.length > 0 && { printed }) }).toEqual({
        status: 0,
        stderr: expect.anything(),
        ...(lines.length > 0 && { printed: lines }),
      });
    },
    (SECONDS + 5) * 1000,
  );
});
