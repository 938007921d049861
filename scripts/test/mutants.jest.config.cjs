/** jest.config.cjs with the mutations in. */
const base = require('../../jest.config.cjs');

/** @type {import('jest').Config} */
module.exports = {
  ...base,
  rootDir: '../..',
  transform: Object.fromEntries(
    Object.entries(base.transform).map(([files, [, options]]) => [
      files,
      ['<rootDir>/scripts/test/mutating-transform.cjs', options],
    ]),
  ),
  reporters: [],
  testTimeout: 10_000,
};
