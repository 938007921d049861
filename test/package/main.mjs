import { fileURLToPath } from 'node:url';
import * as sage from 'sage-queue';
import program from './program.cjs';

await program.run(sage, fileURLToPath(import.meta.url));
