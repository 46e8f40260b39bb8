#compdef pibuild
# SPDX-License-Identifier: Apache-2.0
# Zsh completion for pibuild: what there is to offer, the program itself says.

_pibuild() {
	local line tab=$'\t'
	local -a items asked
	asked=("${(@Q)words[2,CURRENT]}")
	[[ $PREFIX == --*=* ]] && compset -P '*='
	for line in "${(@f)$(_call_program pibuild pibuild --complete "${(@q)asked}" 2>/dev/null)}"; do
		case $line in
		'') ;;
		@file) _files ;;
		@dir) _files -/ ;;
		*) items+=("${${line%%$tab*}//:/\\:}:${line#*$tab}") ;;
		esac
	done
	(( $#items )) && _describe -t values pibuild items
}

_pibuild "$@"
