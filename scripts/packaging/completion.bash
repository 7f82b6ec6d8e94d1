# bash completion for holdfast: its own options, then a command and whatever that one completes.
_holdfast() {
    local i current=${COMP_WORDS[COMP_CWORD]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || break
        [[ ${COMP_WORDS[i]} != -- ]] || { ((i++)); break; }
    done
    if ((i < COMP_CWORD)); then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            compopt -o default
        fi
    elif [[ $current == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | grep -oE -- '(^|[[ ])-(-[-a-z]+|[a-zA-Z])' |
            tr -d '[ ' | sort -u)" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    fi
} && complete -F _holdfast holdfast
