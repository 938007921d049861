/**
 * Every block of code in README and docs runs as it stands there, in the order of its page, and prints what it says.
 *
 * What stands behind the language of a block: `file` writes it for the blocks behind it, `with=NAME` hands it what it takes for given,
 * `elsewhere=PATH` names the test that runs it where this one cannot.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { blocks, pages } from './pages';
import type { Block } from './pages';
import { isProgram, Project, promised, ranElsewhere } from './run-block';

const SECONDS = 20;
const SHM = '/dev/shm';
const segments = (): string[] => readdirSync(SHM).filter((file) => file.startsWith('sage-queue+'));
const programs = (page: string): Block[] => blocks(page).filter(isProgram);

const wanted = pages.filter((page) => !/^(docs\/(adr|reference)|test)\//.test(page) && programs(page).length > 0);

test('there are pages with programs', () => expect(wanted).toContain('README.md'));

describe.each(wanted)('%s', (page) => {
  const project = new Project();
  let before: string[];
  beforeAll(() => {
    before = segments();
  });
  afterAll(() => {
    project.remove();
    for (const file of segments()) if (!before.includes(file)) rmSync(join(SHM, file), { force: true });
  });

  test.each(programs(page).map((block) => [block.line, block.code.split('\n')[0]!, block]))(
    'line %d: %s',
    (_line, _first, block) => {
      if (ranElsewhere(block) !== undefined) return;
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
