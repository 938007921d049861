import { EXIT_OK, UsageError } from '../command';
import type { Arguments, Command } from '../command';

/** Every command, this one too. */
export interface CommandTable {
  commandNames(): string[];
  findCommand(name: string): Command;
}

export const completionOf = (table: CommandTable): Command => ({
  summary: 'Writes a script that completes commands, options and queues in a shell',
  usage: 'completion bash|zsh|fish',
  help: `The script asks 'sage-queue ls' for the names of queues when one is to be completed.

  bash   source <(sage-queue completion bash)      in ~/.bashrc
  zsh    source <(sage-queue completion zsh)       in ~/.zshrc, behind compinit
  fish   sage-queue completion fish | source       in ~/.config/fish/config.fish`,
  examples: ['source <(sage-queue completion bash)'],
  options: {},
  operands: [1, 1],
  run: (args) => run(args, table),
});

const TAKES_QUEUES = ['put', 'get', 'stat', 'rm', 'ls', 'top', 'prune', 'peek', 'mv', 'redrive'];

/** URIs of the queues there are; a namespaced one is a JSON text, which no shell completes well. */
const URIS = `command sage-queue ls --json 2>/dev/null | command sed -n 's/^ *"uri": "\\([^{"]*\\)",$/\\1/p'`;

const optionsOf = ({ findCommand }: CommandTable, name: string): string[] =>
  [...Object.keys(findCommand(name).options), 'help'].map((option) => `--${option}`);

function bash(table: CommandTable): string {
  const { commandNames } = table;
  const cases = commandNames().map((name) => `    ${name}) options='${optionsOf(table, name).join(' ')}' ;;`);
  return `_sage_queue() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options= queues=
  # A colon ends a word for bash.
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commandNames().join(' ')} help' -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  case " ${TAKES_QUEUES.join(' ')} " in *" \${COMP_WORDS[1]} "*)
    local line="\${COMP_LINE:0:COMP_POINT}"
    local typed="\${line##* }"
    COMPREPLY=($(compgen -W "$(${URIS})" -- "$typed"))
    local before="\${typed%"\${typed##*:}"}" at
    for at in "\${!COMPREPLY[@]}"; do COMPREPLY[at]="\${COMPREPLY[at]#"$before"}"; done
    [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
  esac
}
complete -F _sage_queue sage-queue
`;
}

function zsh(table: CommandTable): string {
  const { commandNames, findCommand } = table;
  const described = commandNames().map((name) => `    '${name}:${findCommand(name).summary.replaceAll("'", "'\\''")}'`);
  const cases = commandNames().map((name) => `    ${name}) options=(${optionsOf(table, name).join(' ')}) ;;`);
  return `_sage_queue() {
  local -a commands options queues
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  case "$words[2]" in
${cases.join('\n')}
  esac
  if [[ "$PREFIX" == -* ]]; then
    compadd -- $options
    return
  fi
  case " ${TAKES_QUEUES.join(' ')} " in *" $words[2] "*)
    queues=(\${(f)"$(${URIS})"})
    compadd -- $queues
  esac
  _files
}
compdef _sage_queue sage-queue
`;
}

function fish(table: CommandTable): string {
  const { commandNames, findCommand } = table;
  const seen = '__fish_seen_subcommand_from';
  const quoted = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
  const lines = commandNames().flatMap((name) => [
    `complete -c sage-queue -n __fish_use_subcommand -f -a ${name} -d ${quoted(findCommand(name).summary)}`,
    ...optionsOf(table, name).map((option) => `complete -c sage-queue -n '${seen} ${name}' -l ${option.slice(2)}`),
  ]);
  return `function __sage_queue_uris
  ${URIS}
end
${lines.join('\n')}
complete -c sage-queue -n '${seen} ${TAKES_QUEUES.join(' ')}' -a '(__sage_queue_uris)'
`;
}

async function run(args: Arguments, table: CommandTable): Promise<number> {
  const [shell] = args.operands as [string];
  const scripts: Record<string, (table: CommandTable) => string> = { bash, zsh, fish };
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined) throw new UsageError(`completion is for bash, zsh and fish, not for '${shell}'.`);
  process.stdout.write(script(table));
  return EXIT_OK;
}
