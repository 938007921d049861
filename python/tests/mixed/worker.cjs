/** The workers in Node: those of worker.cc. A process does nothing until a line `put|get QUEUE NAME LOG` comes on its standard input. */
'use strict';
const { openSync, writeSync } = require('node:fs');
const { createInterface } = require('node:readline');
const { getSageQueue } = require('../../../dist/index.js');

const upTo = (most) => Math.floor(Math.random() * most);
const textOf = (stream, number) =>
  `${stream} ${number} ${String.fromCharCode(97 + (number % 26)).repeat((number * 37) % 200)}`;
const itemOf = (stream, number) => (number % 2 === 0 ? Buffer.from(textOf(stream, number)) : textOf(stream, number));
const pauseNowAndThen = async () => {
  if (upTo(8) === 0) await new Promise((resolve) => setTimeout(resolve, upTo(4)));
};

async function put(queue, stream, say) {
  for (let number = 0; ;) {
    const size = 1 + upTo(8);
    say(`put ${stream} ${number} ${number + size}`);
    const items = Array.from({ length: size }, (_, at) => itemOf(stream, number + at));
    // Blocking and awaited in turn: they wait in different ways.
    if (size === 1) queue.putSync(items[0]);
    else if (size % 2 === 0) queue.putManySync(items);
    else await queue.putMany(items);
    say(`ack ${stream} ${number} ${number + size}`);
    number += size;
    await pauseNowAndThen();
  }
}

function held({ item, deliveries }) {
  const text = item.toString();
  const [stream, number] = text.split(' ');
  if (text !== textOf(stream, Number(number))) throw new Error(`torn: ${text}`);
  return ` ${stream} ${number} ${deliveries}`;
}

async function get(queue, _, say) {
  for (;;) {
    if (upTo(2) === 0) {
      const lease = queue.leaseSync();
      say(`hold${held(lease)}`);
      lease.ackSync();
    } else {
      const batch = await queue.leaseMany(1 + upTo(8));
      say(`hold${batch.leases.map(held).join('')}`);
      await batch.ack();
    }
    say('done');
    await pauseNowAndThen();
  }
}

createInterface({ input: process.stdin }).once('line', (line) => {
  const [role, name, stream, log] = line.split(' ');
  const file = openSync(log, 'a');
  const work = role === 'put' ? put : get;
  void work(getSageQueue(name), stream, (text) => writeSync(file, `${text}\n`));
});
