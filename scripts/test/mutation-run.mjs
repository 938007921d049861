/**
 * A run of mutations, of whatever language: which of them, against which tests, and the book of what noticed each.
 *
 *   (nothing)         each mutation against the test that is known to notice it; what is new, or no longer noticed by that one, against all
 *   --all             each mutation against all tests, in their order
 *   --only TEXT       those whose name contains TEXT
 *   --new             those of which the book knows nothing
 *   --known           those of which the book says that a test notices them
 *   --with NAME       against that test alone
 *   --quick           without the slow tests
 *   --short [SEED]    those that `always` names, and some others drawn by the seed (1), each against the test that is known to notice it
 *   --drawn N         so many others in a short run; a thousand are all of them
 *   --workers N       so many at a time
 *   --list            names them
 *   --write           writes down which test noticed, one by one as it goes
 *   --table           prints the book as a table, by function
 *
 * Each test is run once without any mutation, and has to pass. A mutation that nothing may notice stands in the book with the argument why (`redundant`), and so does one that no test notices yet (`open`).
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import LeftBehind from './left-behind.cjs';

/** Of no file, and on in none. */
const NO_MUTATION = { file: '', number: -1, name: 'no mutation' };

/**
 * The mutations that are always tried, and some of the others of which a test is known to say what is wrong. Those that end in a crash or
 * a time limit, or in the middle of many threads, are noticed by luck, now and then not: they are for the long form.
 */
function sample(mutations, known, names, drawn, tests, seed) {
  console.log(`the others are drawn by the seed ${seed}`);
  const always = names.map((what) => {
    const mutation = mutations.find(({ name }) => name.endsWith(`, ${what}`));
    if (mutation === undefined) throw new Error(`no longer in the code: ${what}`);
    return mutation;
  });
  const isSure = (mutation) => {
    const { test, says } = known[mutation.name] ?? {};
    const quick = tests(mutation).some((each) => each.name === test && !each.slow);
    return quick && !/^(not done|ended by)|Exceeded timeout/.test(says);
  };
  const others = mutations.filter((one) => !always.includes(one) && isSure(one));
  let state = seed;
  for (let left = drawn; left > 0 && others.length > 0; left--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    always.push(...others.splice(state % others.length, 1));
  }
  return always;
}

/** One row a function: how many mutations, and what notices them. */
function table(entries) {
  const rows = new Map();
  for (const [name, entry] of Object.entries(entries)) {
    const where = name.slice(0, name.indexOf(': ')).split(', ').join(' · ');
    const row = rows.get(where) ?? { count: 0, by: new Map() };
    rows.set(where, row);
    row.count++;
    const by =
      entry.test !== undefined
        ? `${entry.test}: ${entry.case}`
        : entry.open === undefined
          ? `nothing may (${entry.redundant})`
          : `NOTHING YET (${entry.open})`;
    row.by.set(by, (row.by.get(by) ?? 0) + 1);
  }
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('_', '\\_');
  const lines = ['| where | changes | noticed by |', '| --- | --- | --- |'];
  for (const [where, { count, by }] of rows) {
    const all = [...by].sort((one, other) => other[1] - one[1]).map(([what, times]) => `${what} × ${times}`);
    lines.push(`| ${cell(where)} | ${count} | ${cell(all.join('; '))} |`);
  }
  return lines.join('\n');
}

/** Which test notices a mutation. */
class Hunt {
  /** Tests that fail without any mutation, and so notice none. */
  broken = [];
  #controls = new Map();

  constructor(run, tests, options) {
    Object.assign(this, { run, tests, options });
  }

  /** Each is tried once, before the first mutation that it is to notice, and so is each case of it that is run alone: one that is gone fails. */
  passes(test, known) {
    const control = async () => {
      const found = await this.run(NO_MUTATION, test, known);
      if (found !== undefined) this.broken.push(`${test.name}: ${found.case}: ${found.says}`);
      return found === undefined;
    };
    const cases = this.#controls.get(test) ?? new Map();
    this.#controls.set(test, cases);
    if (!cases.has(known)) cases.set(known, control());
    return cases.get(known);
  }

  /** The first of the tests that notices. @param before what the book says of it */
  async first(mutation, before) {
    const { isShort, isQuick, with: only } = this.options;
    const tests = this.tests(mutation);
    const test = before && tests.find(({ name }) => name === before.test);
    if (test !== undefined && (await this.passes(test, before.case))) {
      const found = await this.run(mutation, test, before.case);
      if (found !== undefined || isShort) return found;
    }
    for (const each of tests) {
      if ((only !== undefined && each.name !== only) || (isQuick && each.slow)) continue;
      if (!(await this.passes(each))) continue;
      const found = await this.run(mutation, each);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/**
 * @param book file of what noticed each: { name: { test, case, says } or { redundant } or { open } }
 * @param mutations { name, … }
 * @param drawn so many others a short run draws
 * @param build called before the first is tried, with all of them and with those that are tried
 * @param tests the tests for a mutation, quick ones first: { name, slow, … }
 * @param run tries one: (mutation, test, the case that is known to notice it) → { test, case, says }, or undefined: it noticed nothing
 * @returns the exit status
 */
export async function runMutations({ book, mutations, always = [], drawn = 24, workers = 3, build, tests, run }) {
  const options = process.argv.slice(2);
  const has = (option) => options.includes(option);
  const after = (option) => (has(option) ? options[options.indexOf(option) + 1] : undefined);
  const only = after('--only') ?? '';
  const known = existsSync(book) ? JSON.parse(readFileSync(book, 'utf8')) : {};
  if (has('--table')) {
    console.log(table(known));
    return 0;
  }
  const names = new Set(mutations.map(({ name }) => name));
  if (has('--list')) {
    for (const name of names) console.log(name);
    return 0;
  }
  const gone = Object.keys(known).filter((name) => !names.has(name));
  const chosen = has('--short')
    ? sample(
        mutations,
        known,
        always,
        Number(after('--drawn') ?? drawn),
        tests,
        Number.parseInt(after('--short'), 10) || 1,
      )
    : mutations.filter(
        ({ name }) =>
          name.includes(only) &&
          (!has('--new') || known[name] === undefined) &&
          (!has('--known') || known[name]?.test !== undefined),
      );
  await build?.(mutations, chosen);
  const segments = LeftBehind.list();

  const hunt = new Hunt(run, tests, { with: after('--with'), isShort: has('--short'), isQuick: has('--quick') });
  const all = { ...known };
  const write = () => {
    const sorted = mutations.filter(({ name }) => all[name] !== undefined).map(({ name }) => [name, all[name]]);
    writeFileSync(book, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`);
  };
  const survivors = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: Number(after('--workers') ?? workers) }, async () => {
      while (next < chosen.length) {
        const mutation = chosen[next++];
        const { name } = mutation;
        const before = known[name];
        if (before?.redundant !== undefined || before?.open !== undefined) continue;
        const start = Date.now();
        const entry = await hunt.first(mutation, has('--all') ? undefined : before);
        const seconds = ((Date.now() - start) / 1000).toFixed(1);
        if (entry === undefined) survivors.push(name);
        else all[name] = entry;
        const said = entry === undefined ? 'SURVIVES' : `${entry.test}: ${entry.case}: ${entry.says}`;
        console.log(`${said}  ← ${name} (${seconds} s)`);
        if (has('--write')) write();
      }
    }),
  );
  LeftBehind.sweep(segments); // what a mutation leaves is nobody's fault
  console.log(`${chosen.length} mutations, ${survivors.length} not noticed`);
  for (const name of survivors) console.log(`  ${name}`);
  for (const test of hunt.broken) console.log(`fails without any mutation: ${test}`);
  const forgotten = only === '' && !has('--short') && !has('--new') && !has('--known') ? gone : [];
  for (const name of forgotten) console.log(`no longer in the code: ${name}`);
  return survivors.length + hunt.broken.length > 0 || (!has('--write') && forgotten.length > 0) ? 1 : 0;
}
