// In another network namespace, on the built package: node namespace-client.cjs DESCRIPTOR CA
// First one line for the type it became, then one line per item got; puts the item back in capitals.
// With the role lease: takes one item on loan and keeps it.
const { resolveDescriptor } = require('sage-queue');
const [descriptor, ca, role] = process.argv.slice(2);
const queue = resolveDescriptor(descriptor, { credentials: { ca, token: 'secret' } });
(async () => {
  const back = resolveDescriptor(descriptor.replaceAll('to-reader', 'to-owner'), {
    credentials: { ca, token: 'secret' },
  });
  process.send({ type: (await queue.stats()).queueType });
  if (role === 'lease') {
    process.send({ item: (await queue.lease()).item });
    await new Promise((resolve) => process.once('message', resolve));
  }
  for await (const item of queue) {
    await back.put(item.toUpperCase());
    process.send({ item });
  }
  await queue.close();
  await back.close();
  process.disconnect();
})();
