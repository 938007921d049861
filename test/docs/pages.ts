/** The pages of the documentation as the tests read them: links, headings, blocks of code. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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

export interface Block {
  readonly page: string;
  /** Of the line behind the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What stands behind the language: words that say what the tests do with it. */
  readonly words: readonly string[];
  readonly code: string;
}

const FENCE = /^( *)```(\w*)([^\n]*)\n([\s\S]*?)^ *```$/gm;

export function blocks(page: string): Block[] {
  const text = read(page);
  return [...text.matchAll(FENCE)].map(({ 1: indent, 2: language, 3: words, 4: code, index }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    language: language!,
    words: words!.split(/\s+/).filter(Boolean),
    code: code!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

const withoutCode = (text: string): string =>
  text.replace(FENCE, '').replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));

/** Targets of the links and images of a page. */
export const links = (page: string): string[] =>
  [...withoutCode(read(page)).matchAll(/\]\(([^()\s]+(?:\([^()]*\))?[^()\s]*)\)/g)].map((match) => match[1]!);

/** The anchors that GitHub makes of a page's headings. */
export function anchors(page: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of read(page)
    .replace(FENCE, '')
    .matchAll(/^#{1,6} +(.+)$/gm)) {
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
