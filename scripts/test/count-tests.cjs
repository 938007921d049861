// A jest reporter that adds this run's numbers to out/test-counts, so that one line can be said at the end of all suites.
const { appendFileSync, mkdirSync } = require('node:fs');
const { join } = require('node:path');

module.exports = class CountTests {
  onRunComplete(_contexts, results) {
    const folder = join(__dirname, '../../out');
    mkdirSync(folder, { recursive: true });
    const { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests } = results;
    // A suite that cannot even be loaded has no failed test, but it has failed.
    appendFileSync(
      join(folder, 'test-counts'),
      `${numPassedTests} ${Math.max(numFailedTests, numFailedTestSuites)} ${numPendingTests}\n`,
    );
  }
};
