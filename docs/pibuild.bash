# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bash completion for pibuild: what there is to offer, the program itself says.

_pibuild() {
	local word line cur=${COMP_WORDS[COMP_CWORD]}
	local -a words=()
	# Bash takes --node=cp-1 apart.
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $word == "=" ]] || words+=("$word")
	done
	[[ $cur != "=" ]] || cur=''
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
		@file | @dir)
			compopt -o filenames 2>/dev/null || true
			while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -"${line:1:1}" -- "$cur")
			;;
		*)
			word=${line%%$'\t'*}
			[[ $word != "$cur"* ]] || COMPREPLY+=("$word")
			;;
		esac
	done < <(pibuild --complete "${words[@]}" "$cur" 2>/dev/null)
}
complete -F _pibuild pibuild
