/**
 * Makes a release of what stands under "Unreleased" in the CHANGELOG: `npm run release -- 0.2.0`. It gives that section the version and
 * the day, sets package.json, commits, and makes a tag that carries the section. Pushing the tag publishes (.github/workflows/release.yml):
 * `--push` does that too.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [version, ...flags] = process.argv.slice(2);
const fail = (message) => {
  console.error(`release: ${message}`);
  process.exit(1);
};
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const slug = (url) => /([\w.-]+\/[\w.-]+?)(\.git)?$/.exec(url)?.[1];

if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version ?? '')) fail('which version? As in `npm run release -- 0.2.0`.');
if (flags.some((flag) => flag !== '--push')) fail(`only --push is known, found ${flags.join(' ')}.`);
if (git('status', '--porcelain') !== '') fail('there are changes that are not committed.');
if (git('rev-parse', '--abbrev-ref', 'HEAD') !== 'main') fail('releases are made on main.');
if (git('tag', '--list', `v${version}`) !== '') fail(`there is a tag v${version} already.`);
const { repository } = JSON.parse(readFileSync('package.json', 'utf8'));
// The registry refuses the proof of origin of a package whose `repository` is not where it was built.
const origin = git('remote').split('\n').includes('origin') ? git('remote', 'get-url', 'origin') : '';
if (slug(origin) !== slug(repository.url)) {
  fail(`package.json says that this is ${repository.url}, but the remote 'origin' is ${origin || 'not set'}.`);
}

const changelog = readFileSync('CHANGELOG.md', 'utf8');
const section = /^## Unreleased\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(changelog);
const notes = section?.[1].trim() ?? '';
if (notes === '') fail('nothing stands under "## Unreleased" in CHANGELOG.md.');
const day = new Date().toISOString().slice(0, 10);
writeFileSync(
  'CHANGELOG.md',
  changelog.replace('## Unreleased\n', () => `## Unreleased\n\n## ${version} (${day})\n`),
);
execFileSync('npm', ['version', version, '--no-git-tag-version', '--allow-same-version'], { stdio: 'ignore' });
git('add', 'CHANGELOG.md', 'package.json', 'package-lock.json');
git('commit', '--message', `Release ${version}`);
git('tag', '--annotate', `v${version}`, '--cleanup=verbatim', '--message', `${version}\n\n${notes}`);
if (flags.includes('--push')) {
  execFileSync('git', ['push', '--atomic', 'origin', 'main', `v${version}`], { stdio: 'inherit' });
} else {
  console.log(`Made v${version}. To publish it: git push --atomic origin main v${version}`);
}
