# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: Apps of cluster.yaml
# needs: cni cert-manager
# bound: 3600
#
# Charts by helm and manifests by server-side apply, one after the other, each with its turn. One that fails stands in the
# report with its cause and holds up neither the others nor READY: it is a note, for which pibuild-apps-late.timer has this
# step taken again. It waits for no issuer and no Gateway: a certificate may need a solver that is an app.
#
#   /etc/pibuild/apps/list      a line each: NAME chart|manifest NAMESPACE once|always, and whether values are secret
#   /run/pibuild/apps/NAME      its state for the report: pending, running, done or failed; cause, cure
#   /var/lib/pibuild/apps/NAME  digest of what it was installed from
#
# `once`: what is there, by this card, an earlier one or anybody, is left alone, its values too. `always`: what the card
# holds is put back at each start, and new values that are secrets are taken. Secrets reach the cluster in any case.

apps=$etc/apps
shown_log='journalctl -b -u pibuild-apps -u pibuild-apps-late'

# app_state STATE: of $app, with cause and cure
app_state() {
	line "$cure"
	remedy=$text
	line "$cause"
	publish "$run/apps/$app" "state $1
cause $text
cure $remedy"
}

app_digest() {
	cat "$apps/$app"/* "$root/usr/share/pibuild/apps/$app".tgz "$root/usr/share/pibuild/apps/$app"-[0-9][0-9].yaml 2>/dev/null | sha256sum
}

# Without it the next start looks whether the app is there.
app_stamp() {
	mkdir -p "$stamps/apps" && printf '%s\n' "${app_sum%% *}" | keep "$stamps/apps/$app"
}

app_namespace() {
	[ ! -e "$apps/$app/namespace.yaml" ] || apply_files "$apps/$app/namespace.yaml"
}

# app_secrets: what the app is to find in its namespace
app_secrets() {
	[ -e "$etc/secrets/app-$app.yaml" ] || return 0
	app_namespace && apply_files "$etc/secrets/app-$app.yaml" && shred_staged "$etc/secrets/app-$app.yaml"
}

# manifests: sets `files` to those of $app
manifests() {
	files=''
	while read -r file; do
		files="$files $root$file"
	done <"$apps/$app/manifests"
}

app_there() {
	if [ "$kind" = chart ]; then
		deployed "$namespace" "$app" && { [ "$when" = once ] || whole_release "$namespace" "$app"; }
		return
	fi
	manifests
	set --
	for file in $files; do
		set -- "$@" -f "$file"
	done
	[ "$namespace" = - ] || set -- -n "$namespace" "$@"
	whole "$@"
}

# settled: nothing is to be done for $app. Its digest says nothing of values that are secrets.
settled() {
	case $when:$was in
	once:?*) return 0 ;;
	once:) app_there ;;
	*) [ ! -e "$secret_values" ] && [ "$was" = "${app_sum%% *}" ] && app_there ;;
	esac
}

# The values that are secrets are on the card until they are installed; after that helm's record of the release has them.
# A chart's notes may show any of them, and what is said here is in the journal.
install_chart() {
	unstick "$namespace" "$app" || return
	set -- --reset-values --values "$apps/$app/values.yaml"
	if [ -e "$secret_values" ]; then
		set -- "$@" --values "$secret_values"
	elif [ "$secret" = yes ]; then
		has_release "$namespace" "$app" || {
			[ $? != 1 ] || printf 'The cluster has lost the secret values of %s, and so has this card\n' "$app"
			return 1
		}
		set -- --reuse-values --values "$apps/$app/values.yaml"
	fi
	timeout 400 helm upgrade --install "$app" "$root/usr/share/pibuild/apps/$app.tgz" --namespace "$namespace" --timeout 5m --hide-notes "$@"
}

apply_manifest() {
	set -- --server-side --force-conflicts --request-timeout=120s -f "$1"
	[ "$namespace" = - ] || set -- -n "$namespace" "$@"
	timeout 300 kubectl apply "$@"
}

# Twice: a definition needs some seconds until the API knows what it defines, and both are often in one file.
install_manifest() {
	manifests
	for file in $files; do
		apply_manifest "$file" || { sleep 5 && apply_manifest "$file"; } || return
	done
}

# app_turn: 0 when $app is there
app_turn() {
	why ''
	app_sum=$(app_digest) was='' secret_values=$etc/secrets/app-$app-values.yaml
	[ ! -r "$stamps/apps/$app" ] || read -r was <"$stamps/apps/$app"
	log=$run/log/app-$app
	rm -f "$log.code"
	{
		app_secrets && { settled || { app_state running && app_namespace && "install_$kind"; }; } && shred_staged "$secret_values"
		printf '%s\n' $? >"$log.code"
	} </dev/null 2>&1 | tee "$log"
	why ''
	if [ "$(cat "$log.code")" != 0 ]; then
		explain "The command failed and said nothing" <"$log"
		cure="${cure:+$cure; }all it said: $shown_log"
		app_state failed
		return 1
	fi
	case $when:$was in
	once:?* | *:"${app_sum%% *}") ;;
	*) app_stamp ;;
	esac
	app_state "done"
}

finished() {
	need_program helm kubectl && need_file "$apps/list" || return 1
	asked get --raw /readyz || {
		explain_text "$found"
		return 1
	}
	mkdir -p "$run/apps"
	while read -r app _; do
		[ -e "$run/apps/$app" ] || app_state pending
	done <"$apps/list"
	late=''
	while read -r app kind namespace when secret <&4; do
		app_turn || late="$late $app"
	done 4<"$apps/list"
	unnote apps
	[ -z "$late" ] || note apps "Not installed yet:$late" "They are tried again every few minutes; why it failed stands beside each"
	why ''
}
