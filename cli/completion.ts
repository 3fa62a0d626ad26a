import { parseArgs } from "node:util";

const help = `Completion of commands and their options

  sluice completion bash    source <(sluice completion bash), in ~/.bashrc
  sluice completion zsh     sluice completion zsh > "\${fpath[1]}/_sluice"
  sluice completion fish    sluice completion fish > ~/.config/fish/completions/sluice.fish
`;

interface Described {
  readonly name: string;
  readonly summary: string;
}

/** Options are asked of the command itself when they are needed, so that no list of them can be out of date. */
const optionsOf = (command: string): string =>
  `sluice ${command} --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u`;

const scripts: Readonly<Record<string, (commands: readonly Described[]) => string>> = {
  bash: (commands) => `_sluice() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
  elif [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$(${optionsOf('"$command"')})" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -F _sluice sluice
`,
  zsh: (commands) => `#compdef sluice
_sluice() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${commands.map(({ name, summary }) => `      '${name}:${summary.replaceAll("'", "'\\''")}'`).join("\n")}
    )
    _describe command commands
  elif [[ "$words[CURRENT]" == -* ]]; then
    local -a options=(\${(f)"$(${optionsOf('"$words[2]"')})"})
    compadd -a options
  else
    _files
  fi
}
compdef _sluice sluice
`,
  fish: (commands) => `function __sluice_options
  set -l words (commandline -opc)
  ${optionsOf("$words[2]")}
end
${commands
  .map(
    ({ name, summary }) =>
      `complete -c sluice -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
  )
  .join("\n")}
complete -c sluice -n 'not __fish_use_subcommand' -a '(__sluice_options)'
`,
};

export function completion(args: readonly string[], commands: readonly Described[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const script = scripts[positionals[0] ?? ""];
  if (script === undefined) {
    process.stderr.write(`completion: the shell is needed, one of ${Object.keys(scripts).join(", ")}\n`);
    return 2;
  }
  process.stdout.write(script(commands));
  return 0;
}
