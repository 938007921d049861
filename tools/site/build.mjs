/**
 * Builds the site into out/site/dist, static files for any server: `npm run site` (SITE_BASE=/sage-queue/ where it lies below the root of one).
 * The pages are those of the repository with their links led to each other; the reference is made of the docstrings.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { build } from 'vitepress';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const out = join(root, 'out/site');
const source = join(out, 'src');
const require = createRequire(import.meta.url);
const { exports: entries, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const repositoryUrl = repository.url.replace(/^git\+|\.git$/g, '');

/** Where a page of the repository lies on the site; undefined for what is no page of it. */
function sitePath(path) {
  const top = { 'README.md': 'start.md', 'CHANGELOG.md': 'changelog.md', 'SECURITY.md': 'security.md' };
  const more = { 'CONTRIBUTING.md': 'contributing.md', 'CODE_OF_CONDUCT.md': 'code-of-conduct.md' };
  if ({ ...top, ...more }[path] !== undefined) return { ...top, ...more }[path];
  if (/^examples\/.*\.mjs$/.test(path)) return path.replace(/mjs$/, 'md');
  if (!/^docs\/.*\.(md|svg)$/.test(path)) return undefined;
  return path.slice('docs/'.length).replace(/README\.md$/, 'index.md');
}

const pages = execFileSync('git', ['ls-files', '*.md', 'docs/*.svg', 'examples/*.mjs'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && sitePath(path) !== undefined);

/** A link as the site has it: to the page there, or to the file in the repository. */
function led(page, target) {
  if (/^([a-z]+:|#)/.test(target)) return target;
  const [path, anchor] = target.split('#');
  const file = posix.join(posix.dirname(page), path).replace(/\/$/, '');
  const wanted = sitePath(file) ?? sitePath(`${file}/README.md`);
  const there = wanted !== undefined && pages.some((known) => sitePath(known) === wanted);
  if (!there) return `${repositoryUrl}/${existsSync(join(root, file, '.')) ? 'tree' : 'blob'}/main/${file}`;
  const relative = posix.relative(posix.dirname(sitePath(page)), wanted);
  return `${relative.startsWith('.') ? relative : `./${relative}`}${anchor === undefined ? '' : `#${anchor}`}`;
}

function sited(page, text) {
  let code = false;
  return (
    text
      .split('\n')
      // The badge of the workflow is for the repository's page, and comes from elsewhere.
      .filter((line) => !line.startsWith('[![test]'))
      .map((line) => {
        const fence = /^ *```(\w*)/.exec(line);
        if (fence !== null) {
          code = !code;
          // The words behind the language are for the tests.
          return fence[0];
        }
        return code
          ? line
          : line.replace(/(\]\()([^()\s]+)(\))/g, (_all, open, target, close) => open + led(page, target) + close);
      })
      .join('\n')
  );
}

rmSync(out, { recursive: true, force: true });
for (const page of pages) {
  const target = join(source, sitePath(page));
  mkdirSync(dirname(target), { recursive: true });
  const text = readFileSync(join(root, page), 'utf8');
  if (page.endsWith('.md')) writeFileSync(target, sited(page, text));
  else if (page.endsWith('.mjs')) writeFileSync(target, `# ${page}\n\n\`\`\`js\n${text}\`\`\`\n`);
  else copyFileSync(join(root, page), target);
}
copyFileSync(join(here, 'home.md'), join(source, 'index.md'));
// Where the theme finds what it is made of.
symlinkSync(join(here, 'node_modules'), join(out, 'node_modules'));
cpSync(join(here, 'theme'), join(source, '.vitepress/theme'), { recursive: true });

const typedoc = await Application.bootstrapWithPlugins({
  entryPoints: Object.values(entries).flatMap((target) =>
    target.require === undefined ? [] : [join(root, 'lib', `${posix.basename(target.require.default, '.js')}.ts`)],
  ),
  tsconfig: join(root, 'tsconfig.build.json'),
  plugin: [require.resolve('typedoc-plugin-markdown'), require.resolve('typedoc-vitepress-theme')],
  out: join(source, 'reference'),
  docsRoot: source,
  readme: 'none',
  name: 'Reference',
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableSources: true,
  hideBreadcrumbs: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  parametersFormat: 'table',
  indexFormat: 'table',
  entryFileName: 'index.md',
});
const project = await typedoc.convert();
if (project === undefined) process.exit(1);
typedoc.validate(project);
await typedoc.generateOutputs(project);
if (typedoc.logger.hasErrors()) process.exit(1);

const reference = JSON.parse(readFileSync(join(source, 'reference/typedoc-sidebar.json'), 'utf8'));
const { config } = await import('./config.mjs');
writeFileSync(
  join(source, '.vitepress/config.mjs'),
  `const config = ${JSON.stringify(config({ pages: pages.map((page) => ({ path: sitePath(page), text: title(page) })), reference, repositoryUrl, base: process.env.SITE_BASE ?? '/' }), undefined, 2)};
// What was written to be read comes before the reference, which has every word on many pages.
const boostDocument = (id) => (id.includes('/reference/') ? 0.3 : 1);
config.themeConfig.search.options.miniSearch = { searchOptions: { boostDocument } };
export default config;
`,
);
function title(page) {
  if (!page.endsWith('.md')) return posix.basename(page, '.mjs');
  return (/^# (.+)$/m.exec(readFileSync(join(root, page), 'utf8'))?.[1] ?? page).replaceAll('`', '');
}
await build(source, { outDir: join(out, 'dist') });
