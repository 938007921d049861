/** Whose segment a process takes for its own. What lies in the file, and what mode it has, has no say in it. */
import { chownSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { attach, describeQueue, isRoot, run, segmentFiles, SHM, start, types } from './child';
import type { NativeType } from './child';

const SQUATTER = 65534;
const OTHER = 54321;

const attempts = `
  const outcomes = [];
  for (const create of ['if-missing', 'never', 'exclusive']) {
    try { const queue = open({ create }); outcomes.push('attached'); queue.closeSync(); } catch (error) { outcomes.push([error.code, /SAGE_QUEUE_TRUST_UID=/.test(error.message)]); }
  }
  say(outcomes);`;
const refused = [Array(3).fill(['ERR_SEGMENT_PERMISSION', true])];

/** The other user's file under the name of this user's queue, open to all, with an item in it. */
function squat(type: NativeType): ReturnType<typeof describeQueue> {
  const descriptor = describeQueue(type, { capacityBytes: 65536 });
  const queue = attach(descriptor);
  queue.putSync('bait');
  const [file] = segmentFiles(String(descriptor.metadata.shm_name ?? descriptor.queueId));
  queue.closeSync();
  chownSync(join(SHM, file!), SQUATTER, SQUATTER);
  chmodSync(join(SHM, file!), 0o666);
  return descriptor;
}

const remove = `const queue = open(); queue.getSync(); queue.unlinkSync(); queue.closeSync();`;
const trusting = { env: { SAGE_QUEUE_TRUST_UID: `1, ${SQUATTER}` } };

describe.each(types)('%s', (type) => {
  if (!isRoot) {
    test('users apart', () => {
      if (process.env.CI === 'true') throw new Error('CI runs this as root, to have two users');
      console.warn('not root: nobody squatted on a name');
    });
    return;
  }

  test("a squatter's file under the name of a queue is refused, and accepted by the word of the one who attaches", async () => {
    const descriptor = squat(type);
    expect(await run(attempts, descriptor)).toEqual(refused);
    expect(await run(attempts, descriptor, [], { env: { SAGE_QUEUE_TRUST_UID: '1' } })).toEqual(refused);
    expect(await run(`say(open({ create: 'never' }).peekSync().item); process.exit();`, descriptor, [], trusting)).toEqual(['bait']); // prettier-ignore
    const [code] = await run(`try { open(); } catch (error) { say(error.code); }`, descriptor, [], {
      env: { SAGE_QUEUE_TRUST_UID: 'everybody' },
    });
    expect(code).toBe('ERR_SEGMENT_PERMISSION');
    await run(remove, descriptor, [], trusting);
  });

  test('metadata says whom the reader expects, never whom it trusts', async () => {
    const descriptor = squat(type).toJSON();
    for (const trust of ['trust_uid', 'trusted_uids', 'trustedUids']) {
      const asking = { ...descriptor, metadata: { ...descriptor.metadata, [trust]: [SQUATTER] } };
      expect(await run(attempts, asking)).toEqual(refused);
    }
    await run(remove, descriptor, [], trusting);
  });

  test('a mode for others, asked for by the one who attaches, takes the queue of whoever made it', async () => {
    const shared = describeQueue(type, type === 'shm' ? { mode: 0o666 } : { mode: 0o666, enableMultiTenant: false });
    const owner = start(`const queue = open(); queue.putSync('shared'); say(1); hear(); queue.closeSync();`, shared, [], { uid: OTHER }); // prettier-ignore
    await owner.next();
    expect(await run(`const queue = open(); say(queue.getSync()); queue.closeSync();`, shared)).toEqual(['shared']);
    // Who asks for a queue of its own does not get it.
    const plain = { ...shared.toJSON(), metadata: { ...shared.toJSON().metadata, mode: 0o600 } };
    expect(await run(attempts, plain)).toEqual(refused);
    await owner.tell('end').clean();
  });
});

test('a queue of another user is attached to by the descriptor of its owner alone', async () => {
  if (!isRoot) return;
  const descriptor = describeQueue('sage_queue', { mode: 0o666 });
  const owned = { ...descriptor.toJSON(), metadata: { ...descriptor.toJSON().metadata, owner_uid: OTHER } };
  const owner = start(`const queue = open(); queue.putSync(1); say(1); hear(); queue.closeSync();`, owned, [], { uid: OTHER }); // prettier-ignore
  await owner.next();
  expect(await run(`const queue = open(); say(queue.getSync()); queue.closeSync();`, owned)).toEqual([1]);
  const [file] = segmentFiles(descriptor.queueId);
  chownSync(join(SHM, file!), SQUATTER, SQUATTER);
  expect(await run(attempts, owned)).toEqual(refused);
  chownSync(join(SHM, file!), OTHER, OTHER);
  await owner.tell('end').clean();
});
