# SPDX-License-Identifier: ISC
# bash completion for holdfast: its own options, then a command and whatever that one completes.
_holdfast_options() { # PROGRAM: those that its --help lists
    "$1" --help 2>/dev/null | grep -oE -- '(^|[[ ])-(-[-a-z]+|[a-zA-Z])' | tr -d '[ ' | sort -u
}

_holdfast() {
    local i current=${COMP_WORDS[COMP_CWORD]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == = && ${COMP_WORDS[i - 1]} == --* ]] && { ((i++)); continue; } # --env = fish
        [[ ${COMP_WORDS[i]} == -* ]] || break
        [[ ${COMP_WORDS[i]} != -- ]] || { ((i++)); break; }
    done
    local option=${COMP_WORDS[COMP_CWORD - 1]} value=$current
    [[ $current == = ]] && value=
    [[ $option == = ]] && option=${COMP_WORDS[COMP_CWORD - 2]}
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == = || $current == = ]]; then
        case $option in
        --env) mapfile -t COMPREPLY < <(compgen -W "sh fish systemd" -- "$value") ;;
        --status) mapfile -t COMPREPLY < <(compgen -W "json openmetrics prometheus" -- "$value") ;;
        --explain) mapfile -t COMPREPLY < <(compgen -f -- "$value") ;;
        esac
    elif ((i < COMP_CWORD)); then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            compopt -o default
        fi
    elif [[ $current == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_holdfast_options "$1")" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    fi
} && complete -F _holdfast holdfast
