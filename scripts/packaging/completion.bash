# bash completion for holdfast: its own options, then a command and whatever that one completes.
_holdfast() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) ((i++)); break ;;
        -*) ;;
        *) break ;;
        esac
    done
    if ((i < COMP_CWORD)); then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            compopt -o default
        fi
        return
    fi
    local current=${COMP_WORDS[COMP_CWORD]}
    if [[ $current == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-v -- --help --version' -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    fi
} && complete -F _holdfast holdfast
