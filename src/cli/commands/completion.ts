import { UsageError, type Command } from "../command.ts";
import { print } from "../output.ts";

export const command: Command = {
  usage: "bash|zsh|fish",
  description: "Print a script that makes the shell complete verbs, options and the names of workloads, images, volumes and networks.",
  options: [],
  examples: [
    { command: "source <(bulkhead completion bash)", says: "in ~/.bashrc" },
    { command: "source <(bulkhead completion zsh)", says: "in ~/.zshrc, after compinit" },
    { command: "bulkhead completion fish > ~/.config/fish/completions/bulkhead.fish", says: "once" },
  ],
  least: 1,
  most: 1,
  run: ({ args }) => {
    const script = SCRIPTS[args[0] ?? ""];
    if (script === undefined) throw new UsageError(`there is no completion for ${JSON.stringify(args[0])}`, "use bash, zsh or fish");
    print(script);
    return Promise.resolve(0);
  },
};

/** Each asks `bulkhead __complete` and falls back to files where the last line says so. Words with a colon stay whole. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_bulkhead() {
  local words current line files=
  COMPREPLY=()
  # bash cuts words at = and :, the line is cut at blanks here
  read -ra words <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && words+=("")
  current=\${words[-1]}
  while IFS= read -r line; do
    case $line in
      :files) files=1 ;;
      :words) ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  # what bash holds as the current word begins after the last = or :
  local head=\${current%"\${current##*[=:]}"}
  [[ -n $head ]] && COMPREPLY=("\${COMPREPLY[@]#"$head"}")
  if [[ -n $files && \${#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "\${current##*[=:]}")
  fi
}
complete -F _bulkhead bulkhead
`,
  zsh: `#compdef bulkhead
_bulkhead() {
  local -a lines
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ \${lines[-1]} == :files ]]; then
    _files
    return
  fi
  lines=("\${(@)lines[1,-2]}")
  compadd -- "\${lines[@]}"
}
compdef _bulkhead bulkhead
`,
  fish: `function __bulkhead_candidates
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
  if test "$lines[-1]" = ":files"
    __fish_complete_path (commandline -ct)
    return
  end
  printf '%s\\n' $lines[1..-2]
end
complete -c bulkhead -f -a '(__bulkhead_candidates)'
`,
};
