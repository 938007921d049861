/** The processes of a run, whatever they are written in, and what they say. */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PACKAGE_ROOT } from '../../package-root';
import type { News, Role, RoleConfiguration } from './messages';

export type NewsOf<Kind extends News['kind']> = Extract<News, { kind: Kind }>;

/** A child process and what it says. */
export class Actor {
  readonly exited: Promise<void>;
  private readonly heard: News[] = [];
  private readonly listeners = new Set<() => void>();
  private gone = false;

  constructor(
    readonly name: string,
    readonly child: ChildProcess,
  ) {
    this.child.on('message', (news: News) => this.hear(() => this.heard.push(news)));
    this.child.on('error', () => {});
    // 'close' comes after the last message, 'exit' may not.
    this.exited = once(this.child, 'close').then(
      () => this.hear(() => (this.gone = true)),
      () => this.hear(() => (this.gone = true)),
    );
  }

  private hear(change: () => void): void {
    change();
    for (const listener of [...this.listeners]) listener();
  }

  said<Kind extends News['kind']>(kind: Kind): NewsOf<Kind> | undefined {
    return this.heard.find((news): news is NewsOf<Kind> => news.kind === kind);
  }

  /** @throws Error when the process ends without having said it. */
  says<Kind extends News['kind']>(kind: Kind): Promise<NewsOf<Kind>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const news = this.said(kind);
        if (news === undefined && !this.gone) return;
        this.listeners.delete(look);
        if (news !== undefined) resolve(news);
        else reject(this.endedEarly());
      };
      this.listeners.add(look);
      look();
    });
  }

  endedEarly(): Error {
    const { signalCode, exitCode } = this.child;
    const ending = signalCode === null ? `status ${exitCode}` : `killed by ${signalCode}`;
    return new Error(`The ${this.name} ended early: ${(this.said('failed')?.message ?? ending).replace(/\.$/, '')}.`);
  }

  /** It was killed from outside, and had nothing to say against that. */
  get wasKilled(): boolean {
    return this.gone && this.child.signalCode !== null && this.said('failed') === undefined;
  }
}

/** A role of role.ts. */
export const nodeActor = (name: string, role: Role, configuration: RoleConfiguration): Actor =>
  new Actor(
    name,
    fork(join(PACKAGE_ROOT, 'dist/cli/demo/role.js'), [role, JSON.stringify(configuration)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    }),
  );

/** A worker in another language: a program that says its news as lines of JSON, and ends when its standard input does. */
export function foreignActor(name: string, command: readonly string[]): Actor {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => child.emit('message', newsIn(line)));
  return new Actor(name, child);
}

function newsIn(line: string): News {
  try {
    return JSON.parse(line) as News;
  } catch {
    return { kind: 'failed', message: `it said '${line}', which is no news` };
  }
}
