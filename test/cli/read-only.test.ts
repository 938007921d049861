/** A /dev/shm that is mounted read-only. It takes a mount namespace of its own, and with that a root that may mount. */
import { spawnSync } from 'node:child_process';
import { expectOneLine, lines, shell } from './command';

const small = 'mount -t tmpfs -o size=4M tmpfs /dev/shm';
const mayMount = spawnSync('unshare', ['-m', 'bash', '-c', small]).status === 0;
const withMounts = mayMount || process.env.CI === 'true' ? test : test.skip;

withMounts('errors and doctor say so, and advise nothing that would cost the queues that are there', async () => {
  const outcome = await shell(`
    export -f sq
    unshare -m bash -c '${small}
      echo kept | sq put shm:first
      mount -o remount,ro /dev/shm
      echo x | sq put shm:second; echo "status $?"
      sq stat shm:first 2>/dev/null; echo "status $?"
      sq doctor | grep -E "^wrong|^advice|type: (rm|mount)"
      mount -o remount,rw /dev/shm
      sq get shm:first'`);
  expectOneLine(outcome.stderr, /read-only.*`mount -o remount,rw \/dev\/shm`.*ERR_SEGMENT_PERMISSION/);
  const [second, first, ...doctor] = lines(outcome);
  expect([second, first, doctor.pop()]).toEqual(['status 1', 'status 1', 'kept']);
  expect(doctor.join('\n')).toMatch(/^wrong +\/dev\/shm .*read-only.*\n +type: mount -o remount,rw \/dev\/shm/);
  expect(doctor.join('\n')).not.toMatch(/ rm |mount -t tmpfs/);
});
