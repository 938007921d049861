/** What the round trips of bench/python/pairs.py go to: node echo.cjs queue TO BACK, or node echo.cjs socket PATH. */
'use strict';
const { connect } = require('node:net');

const [how, ...names] = process.argv.slice(2);

if (how === 'queue') {
  const { QueueShutDownError, getSageQueue } = require('../../dist/index.js');
  const [to, back] = names.map((name) => getSageQueue(name));
  try {
    for (;;) back.putSync(to.getSync());
  } catch (error) {
    if (!(error instanceof QueueShutDownError)) throw error;
  }
  to.closeSync();
  back.closeSync();
} else {
  const socket = connect(names[0]);
  socket.on('data', (bytes) => socket.write(bytes));
}
