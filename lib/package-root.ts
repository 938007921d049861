/** Where the package lies: above `lib/`, and above `dist/`, where the build puts what more than one entry point needs, as this. */
import { join } from 'node:path';

export const PACKAGE_ROOT = join(__dirname, '..');
