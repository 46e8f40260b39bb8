# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bash completion for pibuild: commands and options are read from the program's own help.

_pibuild() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' word
	local commands
	commands=$(pibuild --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ " ${commands//$'\n'/ } " == *" $word "* ]] && command=$word && break
	done
	case $prev in
	--role) mapfile -t COMPREPLY < <(compgen -W 'control-plane worker' -- "$cur") ;;
	--matrix) mapfile -t COMPREPLY < <(compgen -W 'github gitlab' -- "$cur") ;;
	--progress) mapfile -t COMPREPLY < <(compgen -W 'auto bar plain json none' -- "$cur") ;;
	--compress) mapfile -t COMPREPLY < <(compgen -W 'xz zst' -- "$cur") ;;
	secrets) mapfile -t COMPREPLY < <(compgen -W 'new show rotate' -- "$cur") ;;
	-o | --out | --cache) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	-c | --config | --lock | --secrets | --base | --key | --new-key | --sign | --reproduce | --log | --keep | inspect | verify | diff | boot | status | flash | sign) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	*)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(pibuild ${command:+"$command"} --help 2>/dev/null |
				grep -o -- '--[a-z0-9-]*' | sort -u)" -- "$cur")
		elif [[ -z $command ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
		fi
		;;
	esac
}
complete -o filenames -F _pibuild pibuild
