// What a run leaves in the directory of shared memory: segments, doorbells, files that never got their name. Each suite
// is to leave nothing. A reporter of jest, which fails a run that does; and for other suites
//
//   node scripts/test/left-behind.cjs list              what is there, a name and an inode to the line
//   node scripts/test/left-behind.cjs check FILE WHAT   status 1 when there is more than FILE lists, after WHAT
const { closeSync, constants, lstatSync, openSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const DIRECTORY = '/dev/shm';
const PREFIXES = ['sage-queue+', 'sage-queue-bell+', '.sage-queue-new-', 'sage-queue-test.'];

const quietly = (ask, otherwise) => {
  try {
    return ask();
  } catch {
    return otherwise;
  }
};

function list() {
  const names = quietly(() => readdirSync(DIRECTORY), []);
  return names
    .filter((name) => PREFIXES.some((prefix) => name.startsWith(prefix)))
    .flatMap((name) => quietly(() => [`${name} ${lstatSync(join(DIRECTORY, name)).ino}`], []))
    .sort();
}

/** Whether a process has it: then it is not this run's, all of whose processes have ended. */
function isUsed(path) {
  const open = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  if (lstatSync(path).isFIFO()) return quietly(() => closeSync(openSync(path, open)) === undefined, false);
  const maps = (pid) => quietly(() => readFileSync(`/proc/${pid}/maps`, 'utf8'), '');
  const { ino } = lstatSync(path);
  return readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && maps(pid).includes(` ${ino} `));
}

/** Of what is there now, what was not there before and nobody has. */
const leftSince = (before) =>
  list().filter((line) => !before.includes(line) && quietly(() => !isUsed(join(DIRECTORY, line.split(' ')[0])), false));

const said = (left, after) => `left behind in ${DIRECTORY} ${after}:\n${left.map((line) => `  ${line}\n`).join('')}`;

/** Takes away what was left since `before`, by programs that were made to fail. */
function sweep(before) {
  for (const line of leftSince(before))
    quietly(() => rmSync(join(DIRECTORY, line.split(' ')[0]), { recursive: true }), undefined);
}

module.exports = class LeftBehind {
  static list = list;
  static sweep = sweep;

  onRunStart() {
    this.before = list();
  }

  onRunComplete() {
    const left = leftSince(this.before);
    if (left.length === 0) return;
    this.error = new Error(said(left, 'by this run'));
    process.stderr.write(`\n${this.error.message}`); // jest fails for it, and says nothing of it
  }

  getLastError() {
    return this.error;
  }
};

if (require.main === module) {
  const [what, file, after] = process.argv.slice(2);
  if (what === 'list') {
    process.stdout.write(list().map((line) => `${line}\n`).join('')); // prettier-ignore
  } else {
    const left = leftSince(readFileSync(file, 'utf8').split('\n'));
    if (left.length > 0) {
      process.stderr.write(said(left, `after: ${after}`));
      process.exitCode = 1;
    }
  }
}
