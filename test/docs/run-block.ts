/**
 * Runs a page's blocks of code as its reader would: in a folder of their own that has the package installed, as processes of plain node.
 * What a block takes for given it names as `with=NAME`: `preludes/NAME.mjs` runs before it.
 */
import { transformSync } from '@swc/core';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Block } from './pages';
import { ROOT } from './pages';

const LANGUAGES = { js: 'mjs', mjs: 'mjs', cjs: 'cjs', ts: 'mjs', sh: 'sh' } as const;
type Language = keyof typeof LANGUAGES;

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A reader's folder for one page: files of earlier blocks stay for the later ones. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'sage-queue-docs-'));

  constructor() {
    mkdirSync(join(this.folder, 'node_modules/.bin'), { recursive: true });
    mkdirSync(join(this.folder, 'bin'));
    symlinkSync(ROOT, join(this.folder, 'node_modules/sage-queue'));
    symlinkSync(join(ROOT, 'node_modules/@grpc'), join(this.folder, 'node_modules/@grpc'));
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true, "type": "module" }');
    // Stands in for npx, which takes a second to find what is installed.
    const command = `#!/bin/sh\n[ "$1" = sage-queue ] || exit 127\nshift\nexec ${process.execPath} ${join(ROOT, 'dist/cli/main.js')} "$@"\n`;
    writeFileSync(join(this.folder, 'bin/npx'), command, { mode: 0o755 });
  }

  /** Writes the block under the name that its first line gives, as in `// worker.mjs`. @returns that name. */
  write(block: Block): string {
    const language = block.language as Language;
    const word = (key: string): string | undefined =>
      block.words.find((given) => given.startsWith(`${key}=`))?.slice(key.length + 1);
    const named = /^(?:\/\/|#) ([\w./-]+\.(?:mjs|cjs|js|mts|ts|sh|json))\n/.exec(block.code)?.[1];
    const file = (named ?? `line-${block.line}.${LANGUAGES[language]}`).replace(/\.m?ts$/, '.mjs');
    const prelude = word('with');
    if (prelude !== undefined)
      copyFileSync(join(__dirname, 'preludes', `${prelude}.mjs`), join(this.folder, 'prelude.mjs'));
    const code =
      language === 'ts'
        ? transformSync(block.code, { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, isModule: true })
            .code
        : block.code;
    mkdirSync(dirname(join(this.folder, file)), { recursive: true });
    writeFileSync(join(this.folder, file), (prelude === undefined ? '' : `import './prelude.mjs';\n`) + code);
    return file;
  }

  /** Runs the block unless it is only to be there for others. */
  run(block: Block, seconds: number, env: NodeJS.ProcessEnv = process.env): Ran {
    const file = this.write(block);
    if (block.words.includes('file')) return { status: 0, stdout: '', stderr: '' };
    const [program, ...args] = file.endsWith('.sh') ? ['bash', '-euo', 'pipefail', file] : [process.execPath, file];
    const { status, stdout, stderr } = spawnSync(program!, args, {
      cwd: this.folder,
      encoding: 'utf8',
      timeout: seconds * 1000,
      killSignal: 'SIGKILL',
      env: { ...env, PATH: `${join(this.folder, 'bin')}:${env.PATH}` },
    });
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** Where a block that cannot run here is run instead (`elsewhere=PATH`): a test that reads the blocks which name it. */
export function ranElsewhere(block: Block): string | undefined {
  const path = block.words.find((word) => word.startsWith('elsewhere='))?.slice('elsewhere='.length);
  // In Python it is called blocks_run_by.
  const plain = (text: string): string => text.replaceAll('_', '').toLowerCase();
  if (path !== undefined && !plain(readFileSync(join(ROOT, path), 'utf8')).includes(plain(`blocksRunBy('${path}'`)))
    throw new Error(`${block.page}:${block.line}: ${path} does not run the blocks that name it`);
  return path;
}

export const isProgram = ({ language }: Block): boolean =>
  language in LANGUAGES || language === 'python' || language === 'json';

/** What a block of C or C++ takes for given, and is put into: it is compiled, not run. */
const AROUND = {
  c: [
    'cc',
    '-std=c11',
    'int complain(const char* code, const char* message);\nint snippet(void) {\n',
    '  return 0;\n}\n',
  ],
  cpp: ['c++', '-std=c++17', 'template <class Bytes> void work(Bytes&& bytes);\nvoid snippet() {\n', '}\n'],
} as const;

export const isCompiled = ({ language }: Block): boolean => language in AROUND;

/** Against the headers of this repository, every warning an error. @returns what the compiler has against it */
export function compile(block: Block): string {
  const language = block.language as keyof typeof AROUND;
  const [compiler, standard, before, after] = AROUND[language];
  const header = `#include "${language === 'c' ? 'sage_queue.h' : 'sage_queue.hpp'}"\n`;
  const args = [standard, '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-I', join(ROOT, 'native/c_api')];
  const { stderr, error } = spawnSync(compiler, [...args, '-x', language === 'c' ? 'c' : 'c++', '-'], {
    encoding: 'utf8',
    input: header + before + block.code + after,
  });
  return error === undefined ? stderr : error.message;
}

/** The program that a block is a part of (`of=PATH`), and whether it is: line by line, wherever it is indented to. */
export function partOf(block: Block): { path: string; found: boolean } | undefined {
  const path = block.words.find((word) => word.startsWith('of='))?.slice('of='.length);
  if (path === undefined) return undefined;
  const plain = (text: string): string => text.trim().replaceAll(/\n\s*/g, '\n');
  return { path, found: `\n${plain(readFileSync(join(ROOT, path), 'utf8'))}\n`.includes(`\n${plain(block.code)}\n`) };
}

/** What the block says it prints: the comments `// → …` (or `# → …`), in order. */
export const promised = (block: Block): string[] =>
  [...block.code.matchAll(/(?:\/\/|#) → (.*)$/gm)].map((match) => match[1]!.trim());
