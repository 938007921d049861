/** One process that puts and gets items of a mebibyte: `node large.cjs`. Prints the page faults of one get, its put included. */
const { QueueDescriptor, resolveDescriptor } = require('sage-queue');

const ITEM_BYTES = 1024 * 1024;
const queue = resolveDescriptor(
  QueueDescriptor.createSageQueue(`large-${process.pid}`, { capacityBytes: 4 * ITEM_BYTES }),
);
const item = Buffer.alloc(ITEM_BYTES, 7);
let bytes = 0;
function pass(count) {
  for (let left = count; left > 0; left--) {
    queue.putSync(item);
    bytes += queue.getSync().length;
  }
}
pass(256);
const before = process.resourceUsage().minorPageFault;
pass(512);
const faults = (process.resourceUsage().minorPageFault - before) / 512;
const right = bytes === 768 * ITEM_BYTES;
queue.unlinkSync();
queue.closeSync();
process.stdout.write(JSON.stringify({ faults, right }));
