#compdef pgtandem pgtandem-relay pgtandem-forwarder
# zsh completion: each program is asked for its own --help, so what is offered is what the installed version knows.

# The flags of the --help text $1, as "flag:meaning".
_pgtandem_flags() {
  local line
  for line in ${(f)1}; do
    if [[ $line =~ '^ {2,6}(-[a-zA-Z], )?(--[a-z-]+)( [^ ]+)?( +(.*))?$' ]]; then
      print -r -- "$match[2]:$match[5]"
    fi
  done
}

# The argument that the --help text $1 shows for flag $2; nothing where it takes none.
_pgtandem_argument() {
  local line flag=$2
  if [[ $flag == -c ]]; then flag=--config; fi
  for line in ${(f)1}; do
    if [[ $line =~ '^ {2,6}(-[a-zA-Z], )?(--[a-z-]+) ([^ ]+)( .*)?$' && $match[2] == $flag ]]; then
      print -r -- $match[3]
      return
    fi
  done
}

# The commands of the tool, from its --help text $1, as "command:meaning".
_pgtandem_commands() {
  local line in_list=
  for line in "${(@f)1}"; do
    if [[ $line == Commands* ]]; then
      in_list=yes
    elif [[ -z $line ]]; then
      in_list=
    elif [[ -n $in_list && $line =~ '^  ([a-z-]+) +(.*)$' ]]; then
      print -r -- "$match[1]:$match[2]"
    fi
  done
}

# The words of which command $2 needs one, from its --help text $1: "add" and "remove" of "witness add|remove ...".
_pgtandem_words() {
  local line
  for line in ${(f)1}; do
    if [[ $line =~ "^  pgtandem $2 ([a-z|]+) " ]]; then print -rl -- ${(s:|:)match[1]}; fi
  done
}

_pgtandem() {
  local program=$words[1] before=$words[CURRENT-1] help command= each argument=
  local -a commands flags more
  help="$($program --help 2>/dev/null)"
  commands=(${(f)"$(_pgtandem_commands "$help")"})
  for each in ${words[2,CURRENT-1]}; do
    if (( ${commands[(I)$each:*]} )); then command=$each; break; fi
  done
  if [[ -n $command ]]; then
    help="$($program $command --help 2>/dev/null)"$'\n'$help
    more=(${(f)"$(_pgtandem_words "$help" $command)"})
    # One of them is enough.
    if (( ${#${words[2,CURRENT-1]:*more}} )); then more=(); fi
  fi

  if [[ $PREFIX == --*=* ]]; then
    before=${PREFIX%%=*}
    compset -P '*='
  fi
  if [[ $before == -* ]]; then argument=$(_pgtandem_argument "$help" $before); fi
  case $argument in
    '')
      flags=(${(f)"$(_pgtandem_flags "$help")"})
      if [[ $PREFIX != -* && $#more -gt 0 ]]; then
        compadd -- $more
      elif [[ $PREFIX == -* || -n $command || $#commands -eq 0 ]]; then
        _describe -o option flags
      else
        _describe command commands
      fi
      ;;
    *'|'*) compadd -- ${(s:|:)argument} ;;
    HOST*) _hosts ;;
    PATH|FILE|DIR|arg) _files ;;
    *) _message $argument ;;
  esac
}

# Sourced outside of a completion it only defines its functions.
if (( ${+compstate} )); then _pgtandem "$@"; fi
