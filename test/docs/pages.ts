/** The pages of the documentation as the tests read them: links, headings, blocks of code. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blocksIn, withoutBlocks } from './blocks.cjs';
import type { Block } from './blocks.cjs';

export type { Block };

export const ROOT = join(__dirname, '../..');

/** Every page that git knows or would take, by its path. */
export const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((page) => !page.startsWith('.github/'));

export const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

export const blocks = (page: string): Block[] => blocksIn(page, read(page));

/** The blocks of all pages that say `elsewhere=PATH`: the test there reads them with this, and runs them as they stand. */
export const blocksRunBy = (path: string): Block[] =>
  pages.flatMap((page) => blocks(page).filter(({ words }) => words.includes(`elsewhere=${path}`)));

const withoutCode = (text: string): string =>
  withoutBlocks(text).replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));

/** Targets of the links and images of a page. */
export const links = (page: string): string[] =>
  [...withoutCode(read(page)).matchAll(/\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)/g)].map((match) => match[1]!);

/** The anchors that GitHub makes of a page's headings. */
export function anchors(page: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of withoutBlocks(read(page)).matchAll(/^#{1,6} +(.+)$/gm)) {
    const plain = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*_]/g, '');
    const anchor = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-');
    let unique = anchor;
    for (let count = 1; found.has(unique); count++) unique = `${anchor}-${count}`;
    found.add(unique);
  }
  return found;
}
