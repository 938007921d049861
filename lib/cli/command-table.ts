/** The commands there are. Each is loaded when it is asked for. */
import { UsageError } from './command';
import type { Command } from './command';

/* eslint-disable @typescript-eslint/no-require-imports -- only the command that was asked for is loaded */
const commands: Record<string, () => Command> = {
  put: () => (require('./commands/put') as typeof import('./commands/put')).put,
  get: () => (require('./commands/get') as typeof import('./commands/get')).get,
  peek: () => (require('./commands/peek') as typeof import('./commands/peek')).peek,
  mv: () => (require('./commands/mv') as typeof import('./commands/mv')).mv,
  redrive: () => (require('./commands/redrive') as typeof import('./commands/redrive')).redrive,
  ls: () => (require('./commands/ls') as typeof import('./commands/ls')).ls,
  stat: () => (require('./commands/stat') as typeof import('./commands/stat')).stat,
  top: () => (require('./commands/top') as typeof import('./commands/top')).top,
  rm: () => (require('./commands/rm') as typeof import('./commands/rm')).rm,
  prune: () => (require('./commands/prune') as typeof import('./commands/prune')).prune,
  serve: () => (require('./commands/serve') as typeof import('./commands/serve')).serve,
  metrics: () => (require('./commands/metrics') as typeof import('./commands/metrics')).metrics,
  doctor: () => (require('./commands/doctor') as typeof import('./commands/doctor')).doctor,
  demo: () => (require('./commands/demo') as typeof import('./commands/demo')).demo,
  completion: () =>
    (require('./commands/completion') as typeof import('./commands/completion')).completionOf({
      commandNames,
      findCommand,
    }),
};
/* eslint-enable @typescript-eslint/no-require-imports */

export function commandNames(): string[] {
  return Object.keys(commands);
}

/** @throws UsageError */
export function findCommand(name: string): Command {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load !== undefined) return load();
  throw new UsageError(`There is no command '${name}'; there are: ${commandNames().join(', ')}.`);
}
