/**
 * Node hands samples to Python on a Ray cluster, and reads what comes of them. No Python is needed where this runs.
 *   npm install @grpc/grpc-js && node node-and-ray.mjs ray://127.0.0.1:10001
 */
import { getRayQueue } from 'sage-queue';
import { RayClient } from 'sage-queue/ray';

const address = process.argv[2] ?? process.env.RAY_ADDRESS;
const WORKERS = 2;
const SAMPLES = 100;

/** Runs on the cluster, as text: any Python there takes from such a queue with Ray's own `Queue`. */
const source = `
class Worker:
    def work(self, samples_name, results_name):
        import ray, statistics
        from ray.util.queue import Queue

        def attach(name):
            queue = Queue.__new__(Queue)
            queue.maxsize, queue.actor = 0, ray.get_actor(name, namespace="sage_queue")
            return queue

        samples, results = attach(samples_name), attach(results_name)
        done = 0
        while True:
            try:
                sample = samples.get()
            except RuntimeError as error:
                if "shut down" not in str(error):
                    raise
                return done
            results.put({"id": sample["id"], "median": statistics.median(sample["values"])})
            done += 1
`;

const samples = getRayQueue(`samples-${process.pid}`, { address, maxsize: 20 });
const results = getRayQueue(`results-${process.pid}`, { address });
const ray = new RayClient({ address, namespace: 'sage_queue' });
try {
  await Promise.all([samples.qsize(), results.qsize()]); // they are made by the first call
  const actors = await Promise.all(Array.from({ length: WORKERS }, () => ray.createActor({ source, name: 'Worker' })));
  const names = [samples.descriptor.queueId, results.descriptor.queueId];
  const working = Promise.all(actors.map((actor) => ray.call(actor, 'work', names)));
  working.catch(() => samples.shutdown({ immediate: true })); // and what puts ends with an error

  for (let id = 0; id < SAMPLES; id++) await samples.put({ id, values: [id, id + 2, id * id] }); // waits while 20 wait
  await samples.shutdown(); // the workers drain what is left
  const done = await working;
  const medians = await results.getMany(SAMPLES);
  console.log(`${medians.length} medians, the largest ${Math.max(...medians.map(({ median }) => median))}`);
  console.log(`${done.reduce((sum, count) => sum + count)} samples by ${done.length} workers`);
} finally {
  // Queues on a cluster stay until somebody ends their actors.
  for (const { descriptor } of [samples, results]) {
    const actor = await ray.getActor(descriptor.queueId);
    if (actor !== undefined) await ray.kill(actor);
  }
  await Promise.all([samples.close(), results.close(), ray.close()]);
}
