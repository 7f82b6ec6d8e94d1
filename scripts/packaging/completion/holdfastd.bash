# SPDX-License-Identifier: ISC
# bash completion for holdfastd.
_holdfastd() {
    local current=${COMP_WORDS[COMP_CWORD]}
    if [[ $current == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "${current#=}")
    else
        mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null |
            grep -oE -- '(^|[[ ])-(-[-a-z]+|[a-zA-Z])' | tr -d '[ ' | sort -u)" -- "$current")
    fi
} && complete -F _holdfastd holdfastd
