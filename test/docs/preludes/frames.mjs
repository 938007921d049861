// A queue of frames, what fills one and what takes one.
import { getSageQueue } from 'sage-queue';

globalThis.frames = getSageQueue('frames');
globalThis.camera = { readInto: (bytes) => bytes.fill(7) };
globalThis.file = {
  writeSync(view) {
    if (view.length !== 4096 || view[4095] !== 7) throw new Error(`${view.length} bytes arrived`);
  },
};
process.on('exit', () => frames.unlinkSync());
