/** The declarations compile as users compile them, with nothing but @types/node beside them, and mean what they should. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const project = mkdtempSync(join(realpathSync(tmpdir()), 'sage-queue-types-'));
const base = { strict: true, noEmit: true, exactOptionalPropertyTypes: false };

const settings: Record<string, object> = {
  nodenext: { ...base, module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022' },
  bundler: { ...base, module: 'esnext', moduleResolution: 'bundler', target: 'es2022' },
  commonjs: { ...base, module: 'node16', moduleResolution: 'node16', target: 'es2022' },
};

beforeAll(() => {
  // Kept apart from the compiler that builds the package: all of them are called tsc.
  if (!existsSync(join(__dirname, 'node_modules')))
    execFileSync('npm', ['ci', '--no-fund', '--no-audit', '--ignore-scripts'], { cwd: __dirname });
  const modules = join(project, 'node_modules');
  const onlyDeclarations = (path: string): boolean => !/\.(?:js|mjs|map|node)$/.test(path);
  for (const part of ['dist', 'package.json'])
    cpSync(join(root, part), join(modules, 'sage-queue', part), { recursive: true, filter: onlyDeclarations });
  for (const part of ['@types/node', 'undici-types'])
    cpSync(join(root, 'node_modules', part), join(modules, part), { recursive: true });
  for (const [name, compilerOptions] of Object.entries(settings)) {
    mkdirSync(join(project, name));
    cpSync(join(__dirname, 'use.ts'), join(project, name, 'use.ts'));
    writeFileSync(join(project, name, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    writeFileSync(
      join(project, name, 'package.json'),
      JSON.stringify({ type: name === 'commonjs' ? 'commonjs' : 'module' }),
    );
  }
}, 120_000);
afterAll(() => rmSync(project, { recursive: true }));

const compile = (compiler: string, folder: string): Promise<{ status: unknown; output: string }> =>
  new Promise((resolve) => {
    const tsc = join(__dirname, 'node_modules', compiler, 'bin/tsc');
    execFile(process.execPath, [tsc, '-p', join(project, folder)], (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : error.code, output: stdout + stderr }),
    );
  });

test.each(
  ['typescript-5.9', 'typescript-7'].flatMap((compiler) =>
    Object.keys(settings).map((folder) => [compiler, folder] as const),
  ),
)(
  '%s, %s',
  async (compiler, folder) => {
    expect(await compile(compiler, folder)).toEqual({ status: 0, output: '' });
  },
  120_000,
);
