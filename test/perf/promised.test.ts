/** A promise of what is there at once is given it without a search for its `then`, where V8 knows what it is. Read in V8's own account of what it compiles. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Which promises it found to be given something that has no `then`. Compiled on the main thread, where it knows of Buffers in Node 20, too. */
const searchesLeftOut = (kind: string): string[] =>
  execFileSync(
    process.execPath,
    ['--no-concurrent-recompilation', '--trace-turbo-reduction', join(__dirname, 'promised.cjs'), kind],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  ).match(/JSResolvePromise.* with .*JSFulfillPromise/g) ?? [];

test.each(['bytes', 'objects', 'loop', 'stream'])('no search for a `then` that V8 knows is not there: %s', (kind) => {
  expect(searchesLeftOut(kind)).not.toEqual([]);
});
