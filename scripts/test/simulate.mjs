/**
 * Runs a simulation of test/simulation/ in this process: it and what it needs of lib/ in one bundle, and none of what a test runner puts
 * between a program and Node, which takes half of the time.
 *
 *   node scripts/test/simulate.mjs NAME                  as many schedules as in every run of the tests
 *     --schedules N, --seconds S                         so many, or until it has had so much of a core
 *     --only N                                           that schedule of SEED=… alone, with the stacks of its errors
 *
 * SEED=… repeats a run. A schedule that fails is run again alone at once. SAGE_MUTANT_FILE and SAGE_MUTANT switch a mutation on (ts-mutants.mjs).
 */
import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const require = createRequire(import.meta.url);
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const [name, ...options] = process.argv.slice(2);

/** All mutations of a file are in it while one of them is tried. */
const mutations = {
  name: 'mutations',
  load(id) {
    const file = relative(root, id);
    if (file !== process.env.SAGE_MUTANT_FILE) return null;
    return require('./ts-mutations.cjs').instrument(file, readFileSync(id, 'utf8'));
  },
};

async function bundle() {
  const made = await rolldown({
    input: join(root, 'test/simulation', `${name}.ts`),
    platform: 'node',
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    plugins: [mutations],
  });
  const { output } = await made.generate({ file: path, format: 'cjs', sourcemap: 'inline', codeSplitting: false });
  await made.close();
  return output[0].code;
}

const path = join(root, 'out/simulation', `${name}.cjs`);
const simulation = new Module(path);
simulation.filename = path;
simulation.paths = Module._nodeModulePaths(dirname(path));
process.setSourceMapsEnabled(options.includes('--only'));
simulation._compile(await bundle(), path);
