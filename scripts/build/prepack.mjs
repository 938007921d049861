// Before `npm pack` and `npm publish`: a tarball without a binary installs only where a compiler is. Packing says so, publishing refuses.
import { isCurrent, prebuildOf, targets } from './zig.mjs';

const missing = targets.filter((target) => !isCurrent(target)).map(prebuildOf);
if (missing.length > 0) {
  const publishing = process.env.npm_command === 'publish';
  console.error(
    `sage-queue: ${publishing ? 'refused' : 'warning'}: missing, or not from the sources as they are: ${missing.join(', ')}. ` +
      'Run `npm run build:prebuilds` first; without them the package compiles on install.',
  );
  if (publishing) process.exitCode = 1;
}
