// The suites that need a real Ray cluster: `npm run test:ray` starts one and sets RAY_ADDRESS.
/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.cjs'),
  // The cluster that takes nobody without certificate and token is one of its own.
  testMatch: [`<rootDir>/test/${process.env.RAY_USE_TLS === '1' ? 'ray-secured' : 'ray-cluster'}/**/*.test.ts`],
  testPathIgnorePatterns: ['/node_modules/'],
  // Each client is a Python process on the cluster's side.
  maxWorkers: 1,
  testTimeout: 60000,
};
