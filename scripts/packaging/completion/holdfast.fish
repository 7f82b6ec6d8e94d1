# SPDX-License-Identifier: ISC
# fish completion for holdfast: its own options, then a command and whatever that one completes.
function __holdfast_before_command
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and test $word != --; or return 1
    end
end
complete -c holdfast -f
complete -c holdfast -n __holdfast_before_command -s h -l help -d 'List options and settings'
complete -c holdfast -n __holdfast_before_command -s V -l version -d 'Print the version'
complete -c holdfast -n __holdfast_before_command -s v -d 'Warn if holdfast cannot work in the command'
complete -c holdfast -n __holdfast_before_command -l explain -d 'Report afterwards which connections were made'
complete -c holdfast -n __holdfast_before_command -l check -d 'Say whether holdfast can work in the command'
complete -c holdfast -n __holdfast_before_command -l env -d 'Print what switches holdfast on'
complete -c holdfast -n __holdfast_before_command -a '--env=fish --env=systemd' -d 'Print what switches holdfast on'
complete -c holdfast -n __holdfast_before_command -l off -d 'With --env: print what switches holdfast off'
complete -c holdfast -n __holdfast_before_command -l status -d 'Show idle connections and counts'
complete -c holdfast -n __holdfast_before_command -a '--status=json --status=openmetrics --status=prometheus' -d 'Show idle connections and counts'
complete -c holdfast -n __holdfast_before_command -l watch -d 'With --status: show them again and again'
complete -c holdfast -x -a '(__fish_complete_subcommand)'
