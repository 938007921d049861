// Where tests run. A worker of jest that is told to end waits for whatever a test left open, and is killed half a second later, with all that
// it would have removed on its way out: here it exits.
const { TestEnvironment } = require('jest-environment-node');

/** What jest-worker sends to a worker that is no longer needed. */
const CHILD_MESSAGE_END = 2;
let listens = false;

module.exports = class extends TestEnvironment {
  constructor(...given) {
    super(...given);
    if (listens || process.send === undefined) return;
    listens = true;
    process.on('message', (message) => {
      if (Array.isArray(message) && message[0] === CHILD_MESSAGE_END) setImmediate(() => process.exit());
    });
  }
};
