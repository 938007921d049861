import { resumeAtAccepted } from './resuming';
import { adapter, adapterLater, local, sageQueue, shm, startRpcOver, stub } from './types';

const RUN_MS = Number(process.env.MODEL_MS ?? 2000);

test.each([local, stub, adapter, adapterLater, shm, sageQueue])(
  '$name: whoever resumes at accepted loses nothing and doubles nothing',
  async (type) => {
    expect(await resumeAtAccepted(type, RUN_MS)).toBeGreaterThan(0);
  },
  3_600_000,
);

test.each(['local', 'sage_queue'] as const)(
  'rpc over %s: whoever resumes at accepted loses nothing and doubles nothing',
  async (over) => {
    const type = await startRpcOver(over);
    try {
      expect(await resumeAtAccepted(type, RUN_MS)).toBeGreaterThan(0);
    } finally {
      await type.end();
    }
  },
  3_600_000,
);
