/** The worker of role.ts in Python, as a Ray task. It is sent as text and runs on the cluster only. */
import { PYTHON_SUMS } from './python-sums';

export const TASK_NAME = 'work';

/**
 * Takes with `ray.util.queue.Queue`, as any Python program would.
 */
export const TASK_SOURCE = `
def work(namespace, records_name, results_name, group_field, value_field):
    import ray
    from ray.util.queue import Queue

    def attach(name):
        queue = Queue.__new__(Queue)
        queue.maxsize, queue.actor = 0, ray.get_actor(name, namespace=namespace)
        return queue
${PYTHON_SUMS.replaceAll(/^(?=.)/gm, '    ')}
    records, results = attach(records_name), attach(results_name)
    batches = 0
    while True:
        try:
            batch = records.get()
        except RuntimeError as error:
            if "shut down" not in str(error):
                raise
            return batches
        partial = partial_of(batch["records"], group_field, value_field)
        results.put({"number": batch["number"], "groups": partial})
        batches += 1
`;
