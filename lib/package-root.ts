/** Where the package lies: above `lib/`, `dist/` and every file that the build puts into `dist/` itself. */
import { join } from 'node:path';

export const PACKAGE_ROOT = join(__dirname, '..');
