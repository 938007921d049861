/** What a program moves out of a view in place (`ArrayBuffer.prototype.transfer`) is out of the queue's reach: it must never show what is not the queue's. */
import { attachSage, describeQueue, run, SHM } from './child';
import { GC, HANDLES } from './handles';

/** Node 20 has it behind a flag, which later ones may not know. */
const FLAGS = 'transfer' in ArrayBuffer.prototype ? [] : ['--harmony-rab-gsab-transfer'];
const flags = [...GC.flags, ...FLAGS];
const PROGRAM = `${HANDLES}
  const mapped = () => fs.readFileSync('/proc/self/maps', 'utf8').includes(${JSON.stringify(SHM)});
  const moveOf = (view) => { const at = view.byteOffset; return new Uint8Array(view.buffer.transfer()).subarray(at); };
  const isEmpty = (bytes) => bytes.every((byte) => byte === 0);
`;

test('the queue goes on beside what was moved, which shows nothing once the handle is closed', async () => {
  const said = await run(
    `${PROGRAM}
    const beside = () => {
      const queue = open();
      const claim = queue.claimSync(8);
      claim.bytes.fill(65);
      const moved = [moveOf(claim.bytes)];
      say([moved[0][7], claim.bytes.length]);
      claim.commit();
      const next = queue.claimSync(2);
      next.bytes.fill(66);
      next.commit();
      queue.putSync(Buffer.from('CCC'));
      const seen = [];
      queue.consumeSync((view) => { seen.push(String(view)); moved.push(moveOf(view)); });
      say(seen);
      queue.closeSync();
      say([moved.every(isEmpty), mapped()]);
      for (const bytes of moved) bytes.fill(1);
    };
    beside();
    collect('what was moved', () => !mapped());`,
    describeQueue('sage_queue'),
    [],
    { flags },
  );
  expect(said).toEqual([
    [65, 0],
    ['AAAAAAAA', 'BB', 'CCC'],
    [true, true],
  ]);
});

test('what was moved shows nothing once its handle was collected', async () => {
  const descriptor = describeQueue('sage_queue');
  const keeper = attachSage<Buffer>(descriptor);
  const said = await run(
    `${PROGRAM}
    (async () => {
      const moved = (() => { const { bytes } = open().claimSync(8); bytes.fill(65); return moveOf(bytes); })();
      say(moved[7]);
      await collect('the handle', () => isEmpty(moved));
      moved.fill(1);
    })();`,
    descriptor,
    [],
    { flags },
  );
  expect(said).toEqual([65]);
  keeper.putSync(Buffer.from('behind the claim'));
  expect(String(keeper.getSync({ timeoutMs: 0 }))).toBe('behind the claim');
  keeper.closeSync();
});

test('a handle that is closed unmaps at once where nothing was moved', async () => {
  const said = await run(
    `${PROGRAM}
    const queue = open();
    const { bytes } = queue.claimSync(8);
    say(mapped());
    queue.closeSync();
    say([mapped(), bytes.length]);`,
    describeQueue('sage_queue'),
    [],
    { flags },
  );
  expect(said).toEqual([true, [false, 0]]);
});
