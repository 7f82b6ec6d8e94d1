# SPDX-License-Identifier: ISC
# fish completion for holdfastd.
complete -c holdfastd -f
complete -c holdfastd -s h -l help -d 'List options and settings'
complete -c holdfastd -s V -l version -d 'Print the version'
complete -c holdfastd -l idle-exit -x -d 'Exit after this many seconds without use'
complete -c holdfastd -l log -r -F -d 'Append to a file instead of writing to standard error'
