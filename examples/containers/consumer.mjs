/** The other container: it does the jobs. Killed in the middle of one, it leaves that one to whoever comes in its place. */
import { getSageQueue } from 'sage-queue';
import { consume } from 'sage-queue/work';

const jobs = getSageQueue('jobs', { maxsize: 64 });
let done = 0;
let sum = 0;
const consumer = consume(
  jobs,
  async ({ number }, { deliveries }) => {
    if (deliveries > 1) console.log(`job ${number} was in the hand of one who died`);
    sum += number;
    done += 1;
  },
  { concurrency: 4 },
);
process.once('SIGTERM', () => void consumer.stop({ graceMs: 8000 }));
console.log('consumes');
await consumer.done;
console.log(`did ${done} jobs, whose numbers come to ${sum}`);
await jobs.close();
