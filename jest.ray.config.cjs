// The suites that need a real Ray cluster: `npm run test:ray` starts one and sets RAY_ADDRESS.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.cjs'),
  testMatch: ['<rootDir>/test/ray-cluster/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  // Each client is a Python process on the cluster's side.
  maxWorkers: 1,
  testTimeout: 60000,
};
