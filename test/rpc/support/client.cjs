// A client process of the kill tests, on the built package: node client.cjs ROLE PORT
const { getRpcQueue } = require('sage-queue');
const [role, port] = process.argv.slice(2);
const queue = getRpcQueue('127.0.0.1', Number(port), 'q');
const tell = (message) => process.send(message);

const roles = {
  async lease() {
    const lease = await queue.lease();
    tell(lease.item);
    setInterval(() => {}, 1000);
  },
  async wait() {
    tell('waiting');
    tell(await queue.get());
  },
  /** Puts numbered items one by one and tells each that was acknowledged. */
  async put() {
    for (let number = 0; ; number++) {
      await queue.put(number);
      tell(number);
    }
  },
  async putMany() {
    for (let number = 0; ; number += 500) {
      await queue.putMany(Array.from({ length: 500 }, (_, index) => number + index));
      tell(number + 499);
    }
  },
  /** Gets items one by one and tells each. */
  async get() {
    for (;;) tell(await queue.get());
  },
  /** Tells the items of a loop. */
  async loop() {
    for await (const item of queue) await new Promise((resolve) => process.send(item, resolve));
  },
  /** The same, and works on the fifth for ever. */
  async 'loop-stuck'() {
    for await (const item of queue) {
      if (item < 5) continue;
      setTimeout(() => tell(item), 1000);
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    }
  },
  /** The same with a stream. */
  async 'loop-leaving'() {
    for await (const item of queue.readable()) {
      if (item < 50) continue;
      setTimeout(() => tell(item), 1000);
      await new Promise((resolve) => setTimeout(resolve, 1e6));
    }
  },
  /** Puts the items of a loop into another queue of the same server. */
  async answer() {
    const back = getRpcQueue('127.0.0.1', Number(port), 'back');
    for await (const item of queue) await back.put(item);
  },
  async idle() {
    await queue.put('x');
    await queue.get();
    tell('done');
    process.disconnect();
  },
  async take() {
    tell(await queue.get());
    process.disconnect();
  },
  async unref() {
    await queue.qsize();
    queue.unref().get();
    process.disconnect();
  },
};
roles[role]();
