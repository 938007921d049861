/** Of what memory large items are made, counted in pages that were not there yet. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
/** musl returns every large block to the system, and cannot be asked not to. */
const testOnGlibc = glibcVersionRuntime === undefined ? test.skip : test;

/** Without that it would be 80 to 160 of them. Node 26 collects less often, and takes new memory meanwhile. */
const MOST = Number(process.versions.node.split('.')[0]) >= 26 ? 64 : 32;

testOnGlibc(
  `an item of 256 pages comes into memory that the collector gave back: fewer than ${MOST} of them are new`,
  () => {
    const output = execFileSync(process.execPath, [join(__dirname, 'large.cjs')], { encoding: 'utf8' });
    const { faults, right } = JSON.parse(output) as { faults: number; right: boolean };
    expect(right).toBe(true);
    expect(faults).toBeLessThan(MOST);
  },
);
