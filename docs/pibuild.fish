# SPDX-License-Identifier: Apache-2.0
# Fish completion for pibuild: what there is to offer, the program itself says.

function __pibuild_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -e words[1]
    for line in (pibuild --complete $words "$current" 2>/dev/null)
        switch $line
            case @file
                __fish_complete_path (string replace -r '^--[a-z0-9-]+=' '' -- $current)
            case @dir
                __fish_complete_directories (string replace -r '^--[a-z0-9-]+=' '' -- $current)
            case '*'
                string match -q -- '--*=*' $current; and echo (string replace -r '=.*' '=' -- $current)$line; or echo $line
        end
    end
end

complete -c pibuild -f -a '(__pibuild_complete)'
