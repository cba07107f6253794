# bash completion for pgtandem, pgtandem-relay and pgtandem-forwarder: each is asked for its own --help, so what is
# offered is what the installed version knows.

# The flags of a --help text on standard input, one a line.
_pgtandem_flags() {
  sed -n 's/^ \{2,6\}\(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

# The argument that a --help text on standard input shows for flag $1; nothing where it takes none.
_pgtandem_argument() {
  local flag=$1
  case $flag in -c) flag=--config ;; esac
  sed -n "s/^ \{2,6\}\(-[a-zA-Z], \)\{0,1\}$flag \([^ ]\{1,\}\)\( .*\)\{0,1\}$/\2/p" | head -n 1
}

# The commands of the tool, from its --help on standard input.
_pgtandem_commands() {
  sed -n '/^Commands/,/^$/s/^  \([a-z][a-z-]*\)  *.*/\1/p'
}

# The words of which command $1 needs one, from its --help on standard input: "add remove" of "witness add|remove ...".
_pgtandem_words() {
  sed -n "s/^  pgtandem $1 \([a-z|]\{1,\}\) .*/\1/p" | tr '|' ' '
}

_pgtandem() {
  local program=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} help more commands command='' each
  # --flag=value is three words here.
  if [ "$word" = "=" ]; then
    word=
  elif [ "$before" = "=" ] && [ "$COMP_CWORD" -ge 2 ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  help=$("$program" --help 2>/dev/null)
  commands=$(_pgtandem_commands <<<"$help")
  for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$each" ] && grep -qxF -- "$each" <<<"$commands"; then command=$each && break; fi
  done
  if [ -n "$command" ]; then
    more=$("$program" "$command" --help 2>/dev/null)
    help=$more$'\n'$help
  fi

  local argument=
  case $before in -*) argument=$(_pgtandem_argument "$before" <<<"$help") ;; esac
  COMPREPLY=()
  case $argument in
    '')
      # A command that has been said is not said again, nor one of its words.
      if [ -n "$command" ]; then commands=$(_pgtandem_words "$command" <<<"$more"); fi
      for each in ${command:+$commands}; do
        case " ${COMP_WORDS[*]:1:COMP_CWORD-1} " in *" $each "*) commands= ;; esac
      done
      mapfile -t COMPREPLY < <(compgen -W "$(_pgtandem_flags <<<"$help") $commands" -- "$word")
      ;;
    *'|'*) mapfile -t COMPREPLY < <(compgen -W "${argument//|/ }" -- "$word") ;;
    HOST*) mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") ;;
    PATH | FILE | DIR | arg)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
  esac
}

complete -F _pgtandem pgtandem pgtandem-relay pgtandem-forwarder
