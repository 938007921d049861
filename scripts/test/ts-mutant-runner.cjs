/**
 * A process that runs tests again and again, with another mutation on each time: starting Node and jest costs more than the tests. Told
 * { file, number, paths, name } by its parent, it answers with { case, says } of the first test that failed, or with {}: none did. `name`
 * leaves only one of the tests, where there is such a one.
 */
'use strict';

const { runCLI } = require('jest');
const { resolve } = require('node:path');

const root = resolve(__dirname, '../..');

const options = (paths, name) => ({
  $0: 'jest',
  _: paths,
  config: resolve(__dirname, 'mutants.jest.config.cjs'),
  runInBand: true,
  silent: true,
  testNamePattern: name?.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&'),
});

// What a mutation left behind fails here, beside the tests of the next one.
process.on('unhandledRejection', () => {});
process.on('uncaughtException', () => {});

process.on('message', async ({ file, number, paths, name }) => {
  // The environment of a test is a copy of what this is when it begins.
  process.env.SAGE_MUTANT_FILE = file;
  process.env.SAGE_MUTANT = String(number);
  let { results } = await runCLI(options(paths, name), [root]);
  if (results.numPassedTests + results.numFailedTests === 0) ({ results } = await runCLI(options(paths), [root]));
  const failed = results.testResults.flatMap((suite) => {
    const tests = suite.testResults.filter(({ status }) => status === 'failed');
    if (tests.length > 0) return tests.map(({ fullName, failureMessages }) => ({ fullName, text: failureMessages[0] }));
    return suite.failureMessage ? [{ fullName: '', text: suite.failureMessage }] : [];
  });
  // One that says what is wrong rather than one that waits for ever.
  const first = failed.find(({ text }) => !text.includes('Exceeded timeout')) ?? failed[0];
  if (first === undefined) return process.send({});
  const says = first.text.replace(/\u001b\[\d+m/g, '').split('\n')[0];
  process.send({ case: first.fullName, says: says.slice(0, 100) });
});
