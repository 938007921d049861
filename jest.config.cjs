/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/scripts/test/environment.cjs',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // They need a cluster: see jest.ray.config.cjs.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/ray-cluster/', '<rootDir>/test/ray-secured/'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  modulePathIgnorePatterns: ['<rootDir>/build', '<rootDir>/prebuilds', '<rootDir>/out', '<rootDir>/dist'],
  // Child processes attach the same shared memory; two cores do not gain from more.
  maxWorkers: 2,
  testTimeout: 30000,
  reporters: [
    'default',
    '<rootDir>/scripts/test/left-behind.cjs',
    ...(process.env.CI ? ['<rootDir>/scripts/test/count-tests.cjs'] : []),
  ],
};
