// Projects that install the packed tarball, and what is run in them.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCurrent, prebuildOf, targets } from '../../scripts/build/zig.mjs';
import blocks from '../docs/blocks.cjs';

export const here = import.meta.dirname;
export const root = join(here, '../..');
/** Removed at the end of the run. */
export const scratch = mkdtempSync(join(tmpdir(), 'sage-queue-package-'));
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Runs a program; what it prints comes back, and is shown when it fails. npm's own settings are not handed on. */
export function run(command, args, { cwd, env = {} } = {}) {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|command)/.test(name)),
  );
  try {
    return execFileSync(command, args, {
      cwd,
      env: { ...inherited, ...env },
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: 300_000,
    });
  } catch (error) {
    throw new Error(
      `${[command, ...args].join(' ')} failed (${error.status ?? error.code})\n${error.stdout ?? ''}${error.stderr ?? ''}`,
    );
  }
}

/** The blocks of a page that a program runs. */
export const blocksRunBy = (path, page) =>
  blocks
    .blocksIn(page, readFileSync(join(root, page), 'utf8'))
    .filter(({ words }) => words.includes(`elsewhere=${path}`));

/** The folder of this machine's binaries in the package. */
export const prebuilt = join('prebuilds', `${process.platform}-${process.arch}`);
let folders = 0;
/** An empty folder with a package.json and the test programs. */
export function project(type) {
  const folder = join(scratch, `project-${++folders}`);
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'load-test', private: true, ...(type === undefined ? {} : { type }) }),
  );
  for (const file of ['program.cjs', 'main.cjs', 'main.mjs']) copyFileSync(join(here, file), join(folder, file));
  return folder;
}

/** Packs the built tree. @param mayLack prebuilds may be missing: then the development build stands in for this machine's. */
export function pack(mayLack) {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is missing: run `npm run build:ts` first.');
  const tree = join(scratch, 'tree');
  const wanted = ['package.json', 'README.md', 'LICENSE', ...manifest.files.filter((path) => !path.startsWith('!'))];
  for (const path of wanted)
    if (existsSync(join(root, path))) cpSync(join(root, path), join(tree, path), { recursive: true });
  const stale = targets.filter((target) => !isCurrent(target)).map(prebuildOf);
  if (stale.length > 0 && !mayLack) {
    throw new Error(
      `Missing, or not from the sources as they are: ${stale.join(', ')}. Run \`npm run build:prebuilds\` first.`,
    );
  }
  if (stale.some((file) => file.startsWith(prebuilt))) {
    console.log('note  no current prebuilt binary for this machine: the development build stands in for it');
    rmSync(join(tree, 'prebuilds'), { recursive: true, force: true });
    mkdirSync(join(tree, prebuilt), { recursive: true });
    copyFileSync(join(root, 'build/Release/sage_queue.node'), join(tree, prebuilt, 'sage_queue.glibc.node'));
  }
  return { tree, tarball: packed(tree) };
}

function packed(tree) {
  // Each in a folder of its own: two trees may have one name and version.
  const destination = mkdtempSync(join(scratch, 'packed-'));
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', destination], { cwd: tree });
  return join(destination, readdirSync(destination)[0]);
}

/** The same package under another version, or with other files. */
export function repacked(tree, name, change) {
  const copy = join(scratch, name);
  cpSync(tree, copy, { recursive: true });
  change(copy);
  return packed(copy);
}

export function install(folder, tarball, flags = [], env = {}) {
  run('npm', ['install', '--no-audit', '--no-fund', ...flags, tarball], { cwd: folder, env });
}

/** Runs a test program in a folder with a runtime; returns which addon it used. */
export function smoke(folder, file, { command = [process.execPath], env = {}, peer = [...command, file] } = {}) {
  const output = run(command[0], [...command.slice(1), file], {
    cwd: folder,
    env: { ...env, SMOKE_PEER: JSON.stringify(peer) },
  });
  const { moved, addon } = JSON.parse(output.trim().split('\n').pop());
  if (moved !== 4000) throw new Error(`moved ${moved} items instead of 4000`);
  return addon;
}

export function expectAddon(addon, part) {
  if (!addon?.includes(part)) throw new Error(`the addon in use is ${addon}, expected one in ${part}`);
}
