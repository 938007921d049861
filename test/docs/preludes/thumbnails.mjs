// A queue of requests, and what answers one. Servers go on without end, so this ends them when the answer was made.
import { getSageQueue } from 'sage-queue';

globalThis.requests = getSageQueue('thumbnails');
globalThis.file = 'a.png';
let made;
const answered = new Promise((resolve) => (made = resolve));
globalThis.resize = async (file, width) => {
  setTimeout(made, 100);
  return `${file} ${width}`;
};
process.on('exit', () => requests.unlinkSync());
void answered.then(() => process.exit(0));
