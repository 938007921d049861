/** A full /dev/shm. It takes a mount namespace of its own, and with that a root that may mount. */
import { spawnSync } from 'node:child_process';
import { shell, lines, expectOneLine } from './command';

const small = 'mount -t tmpfs -o size=4M tmpfs /dev/shm';
const mayMount = spawnSync('unshare', ['-m', 'bash', '-c', small]).status === 0;

if (mayMount) {
  test('a queue that does not fit: one line that says what to do, and what was put before stays', async () => {
    const outcome = await shell(`
      export -f sq
      unshare -m bash -c '${small}
        echo kept | sq put shm:first
        echo x | sq put shm:second --capacity-bytes 67108864; echo "status $?"
        ls /dev/shm
        sq get shm:first
        sq doctor | grep -c "^wrong"'`);
    expectOneLine(outcome.stderr, /shm:second: no room in \/dev\/shm.*ERR_SEGMENT_NO_SPACE/);
    expect(lines(outcome)).toEqual(['status 1', 'sage-queue+shm+first', 'kept', '0']);
  });
} else {
  test('a queue that is larger than any /dev/shm may be (this user cannot mount a small one)', async () => {
    const outcome = await shell(`echo x | sq put shm:too-large --capacity-bytes ${2 ** 40}; echo "status $?"`);
    expectOneLine(outcome.stderr, /ERR_SEGMENT_NO_SPACE/);
    expect(lines(outcome)).toEqual(['status 1']);
  });
}
