/** Whether this machine lets tests have containers. CI must: what is between them would be tried nowhere. */
import { execFileSync } from 'node:child_process';
import { APART } from './child';

export const containersArePossible = ((): boolean => {
  try {
    execFileSync(APART[0]!, [...APART.slice(1), 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env.CI === 'true') throw new Error('CI needs namespaces, to have containers');
    console.warn('no namespaces here: queues between containers were not tried');
    return false;
  }
})();
