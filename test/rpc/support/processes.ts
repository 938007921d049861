import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Child processes on the built package; `end()` kills what is left. */
export class Processes {
  private readonly children: ChildProcess[] = [];

  start(script: string, ...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [join(__dirname, script), ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.push(child);
    return child;
  }

  async end(): Promise<void> {
    await Promise.all(this.children.splice(0).map((child) => kill(child)));
  }
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** The child's next message. */
export function said<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null, signal: string | null): void =>
      reject(new Error(`the child ended with ${code ?? signal} before it said anything`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as T);
    });
  });
}
