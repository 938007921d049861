// What every load test runs: two processes find the same queue by name and move a thousand items there and back, with calls
// that are awaited and with calls that block. Copied beside the installed package.
const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');

const ITEMS = 1000;
const WAIT = { timeoutMs: 60000 };
const item = (number) => ({ number, text: `item ${number}`, bytes: new Uint8Array([number & 255, number >> 8]) });

/** Path of the addon that this process has loaded. */
function addonPath() {
  if (process.platform !== 'linux')
    return process.report.getReport().sharedObjects.find((path) => path.endsWith('.node'));
  const line = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .find((mapping) => mapping.endsWith('.node'));
  return line?.slice(line.indexOf('/'));
}

function expectSame(found, number) {
  if (found.number !== number || found.text !== `item ${number}` || found.bytes[0] !== (number & 255)) {
    throw new Error(`item ${number} came back as ${JSON.stringify(found)}`);
  }
}

async function echo(there, back, mode) {
  for (let number = 0; number < ITEMS; number++) {
    if (mode === 'sync') back.putSync(there.getSync(WAIT), WAIT);
    else await back.put(await there.get(WAIT), WAIT);
  }
}

async function exchange(there, back, mode) {
  if (mode === 'sync') {
    for (let start = 0; start < ITEMS; start += 20) {
      for (let number = start; number < start + 20; number++) there.putSync(item(number), WAIT);
      for (let number = start; number < start + 20; number++) expectSame(back.getSync(WAIT), number);
    }
    return;
  }
  const putting = (async () => {
    for (let number = 0; number < ITEMS; number++) await there.put(item(number), WAIT);
  })();
  for (let number = 0; number < ITEMS; number++) expectSame(await back.get(WAIT), number);
  await putting;
}

/** @param sage the package @param file the program that a second process runs */
exports.run = async function run(sage, file) {
  const [mode, id] = process.argv.slice(-2);
  if (mode === 'sync' || mode === 'await') {
    const there = sage.getSageQueue(`${id}-there`, { maxsize: 64 });
    const back = sage.getSageQueue(`${id}-back`, { maxsize: 64 });
    await echo(there, back, mode);
    await there.close();
    await back.close();
    return;
  }
  if (addonPath() !== undefined) throw new Error(`importing the package has loaded ${addonPath()}`);
  const [command, ...args] = JSON.parse(process.env.SMOKE_PEER ?? JSON.stringify([process.execPath, file]));
  for (const asked of ['await', 'sync']) {
    const name = `load-test-${process.pid}-${Date.now()}-${asked}`;
    const there = sage.getSageQueue(`${name}-there`, { maxsize: 64 });
    const back = sage.getSageQueue(`${name}-back`, { maxsize: 64 });
    const peer = spawn(command, [...args, asked, name], { stdio: ['ignore', 'inherit', 'inherit'] });
    const ended = new Promise((resolve) => peer.on('exit', resolve));
    const failed = ended.then((code) => {
      if (code !== 0) throw new Error(`the other process ended with ${code}`);
    });
    await Promise.race([exchange(there, back, asked), failed.then(() => new Promise(() => {}))]);
    await failed;
    there.unlinkSync();
    back.unlinkSync();
    await there.close();
    await back.close();
  }
  console.log(JSON.stringify({ moved: 4 * ITEMS, addon: addonPath() }));
};
