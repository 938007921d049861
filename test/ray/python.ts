import { spawnSync } from 'node:child_process';

const PYTHON = process.env.PYTHON ?? 'python3';

/**
 * Runs a Python program that sees `given` (parsed JSON) and prints what `result` ends up as (as JSON).
 * @throws Error with Python's own traceback.
 */
export function runPython<T>(program: string, given: unknown = null): T {
  const source = `import json, sys, pickle, datetime, decimal, collections, array\ngiven = json.load(sys.stdin)\n${program}\njson.dump(result, sys.stdout)`;
  const child = spawnSync(PYTHON, ['-c', source], {
    input: JSON.stringify(given),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (child.error) throw child.error;
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout) as T;
}
