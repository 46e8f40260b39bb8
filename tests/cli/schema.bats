#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `schema`: what editors and readers get must agree with what `check` does.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	"$PIBUILD" schema >schema.json
	own_key
}

# judge SCHEMA FILE...: what a stranger says of the files by the schema: a line for each fault, then "FILE: valid" or "FILE: invalid".
# To start it costs more than to judge a hundred files, so a test asks once.
judge() {
	python3 - "$@" 2>&1 <<'EOT'
import json, sys, yaml, jsonschema

schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)

class Loader(yaml.SafeLoader):
    # dates are text, as in YAML 1.2
    yaml_implicit_resolvers = {k: [r for r in v if r[0] != 'tag:yaml.org,2002:timestamp']
                               for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}

for name in sys.argv[2:]:
    errors = list(judge.iter_errors(yaml.load(open(name), Loader)))
    for e in errors:
        print(f'{name}: fault:', '/'.join(map(str, e.path)), e.message)
    print(f'{name}: {"invalid" if errors else "valid"}')
EOT
}

# judged <WORDS: "FILE: valid" or "FILE: invalid" of each, as ./said has it
judged() {
	diff - <(grep ': valid$\|: invalid$' said) || { cat said; return 1; }
}

# Skips a test that needs the stranger.
need_jsonschema() {
	python3 -c 'import jsonschema' 2>/dev/null || skip 'needs python3-jsonschema'
}

@test "the schema is JSON of draft 2020-12 that takes no unknown key" {
	jq -e '."$schema" == "https://json-schema.org/draft/2020-12/schema" and .additionalProperties == false
		and .required == ["apiVersion", "cluster", "access", "nodes"]
		and .properties.nodes.items.required == ["name", "role", "board"]
		and .properties.airgap.type == "boolean"
		and .properties.cilium.properties.ingress.enum == ["auto", true, false]' schema.json
}

@test "every key of the schema says what it is for" {
	jq -r '.. | objects | select(has("properties")) | .properties | to_entries[]
		| select(.key | IN("env", "file", "command", "provider", "github") | not)
		| select((.value.description // .value.anyOf[0].description // "") == "") | .key' schema.json >silent
	[ ! -s silent ] || { cat silent; return 1; }
}

@test "every example cluster is valid by the schema, says a stranger" {
	need_jsonschema
	mapfile -t examples < <(example_clusters)
	judge schema.json "${examples[@]}" >said
	printf '%s: valid\n' "${examples[@]}" | judged
}

@test "every other file that is read by rows has a schema: what ships and what is made is valid by it, and a wrong key is not" {
	need_jsonschema
	"$PIBUILD" secrets new --secrets secrets.yaml -c "$top/configs/single.yaml" >stdout 2>stderr || { cat stderr; return 1; }
	while read -r kind files; do
		"$PIBUILD" schema "$kind" >"$kind.json"
		wrong=()
		for f in $files; do
			wrong+=("wrong.${f##*/}")
			{ cat "$f"; echo 'bogus: true'; } >"${wrong[-1]}"
		done
		# shellcheck disable=SC2086 # one path a word
		judge "$kind.json" $files >said
		# shellcheck disable=SC2086
		printf '%s: valid\n' $files | judged
		judge "$kind.json" "${wrong[@]}" >said
		for f in "${wrong[@]}"; do
			grep -q "^$f: fault: .*bogus" said || { echo "a wrong key is taken: $f"; return 1; }
		done
	done <<-EOT
		board $(echo "$top"/boards/*.yaml)
		catalogue $top/configs/catalogue.yaml
		lock $top/configs/pibuild.lock
		secrets secrets.yaml
		debian $top/configs/debian/base.yaml
	EOT
	run "$PIBUILD" schema bogus
	[ "$status" -eq 2 ]
	[[ "$output" == *"there is no schema of 'bogus'; FILE is one of: cluster status cluster-status board catalogue lock secrets debian"* ]]
}

@test "the schema refuses what check refuses: unknown keys, wrong types, wrong words, literal secrets" {
	need_jsonschema
	good=$top/configs/homelab.yaml
	bad=()
	for change in 's/gateway:/gatway:/' 's/ingress: auto/ingress: yes please/' 's/role: worker/role: master/' \
		's/name: homelab/name: Home_Lab/' 's/accessToken: .*/accessToken: dop_v1_x/' 's/accessToken:/apiToken:/' \
		's/^airgap.*//; s/^cluster:/airgap: "yes"\ncluster:/' '/^apiVersion/d'; do
		bad+=("bad-${#bad[@]}.yaml")
		sed -E "$change" "$good" >"${bad[-1]}"
		refute cmp -s "$good" "${bad[-1]}" || { echo "changes nothing: $change"; return 1; }
		DO_TOKEN=x run "$PIBUILD" check -c "${bad[-1]}"
		[ "$status" -eq 3 ] || { echo "check takes: $change"; return 1; }
	done
	judge schema.json "${bad[@]}" >said
	printf '%s: invalid\n' "${bad[@]}" | judged
}

@test "the schemas in docs are what the program prints" {
	diff -u "$top/docs/cluster.schema.json" schema.json
	"$PIBUILD" schema status | diff -u "$top/docs/status.schema.json" -
	"$PIBUILD" schema cluster-status | diff -u "$top/docs/cluster-status.schema.json" -
}

@test "the schema has an id, every board, and words for every pattern" {
	jq -e '."$id" == "urn:pibuild:v1:cluster"' schema.json
	jq -r '.properties.nodes.items.properties.board.enum[]' schema.json | diff - <(basename -s .yaml "$top"/boards/*.yaml | sort)
	jq -e '[.. | objects | select(has("pattern") and (has("patternErrorMessage") | not))] == []' schema.json
}

# KEY VALUE, one a line; wrong ones, then after a line "--" good ones.
addresses() {
	cat <<-'EOT'
		subnet 192.168.1.0
		subnet 192.168.1.0/33
		subnet 192.168.1.0/7
		subnet 192.168.1.0/31
		subnet 192.168.1.256/24
		subnet 192.168.01.0/24
		subnet 127.0.0.0/8
		subnet 0.0.0.0/8
		subnet fd00::/64
		gateway 192.168.1
		gateway 192.168.1.1/24
		gateway 192.168.1.300
		gateway 224.0.0.1
		gateway 169.254.1.1
		gateway fe80::1
		gateway router.lan
		dhcpRange 192.168.1.128
		dhcpRange 192.168.1.128 - 192.168.1.250
		dhcpRange 192.168.1.128-250
		dhcpRange 192.168.1.128-192.168.1.256
		address 192.168.1.11
		address 192.168.1.11/0
		address 192.168.1.11/240
		address 127.0.0.1/24
		address ::1/64
		memory 4
		memory 4 GiB
		memory 4G
		memory 0GiB
		board pi5
		name control-plane
		name CP
		user root
		endpoint https://api.lan
		endpoint 192.168.1
		endpoint 192.168.1.256
		--
		subnet 192.168.1.0/24
		gateway 192.168.1.2
		dhcpRange 192.168.1.200-192.168.1.255
		address 192.168.1.250/24
		memory 8GB
		memory 4096MiB
		board rpi500
		name cp1
		user ann
		endpoint api.lan
		endpoint 192.168.1.11
	EOT
}

whole() {
	cat <<-'EOT'
		apiVersion: pibuild/v1
		cluster:
		  name: lab
		  endpoint: api.lan
		access:
		  user: pi
		  sshKeys: [{file: ~/.ssh/id_ed25519.pub}]
		network:
		  subnet: 192.168.1.0/24
		  gateway: 192.168.1.1
		  nameservers: [192.168.1.1]
		  dhcpRange: 192.168.1.200-192.168.1.240
		loadBalancer:
		  pools:
		    - name: lan
		      range: 192.168.1.65-192.168.1.127
		cilium:
		nodes:
		  - name: cp-1
		    role: control-plane
		    board: rpi5
		    address: 192.168.1.11/24
		    memory: 8GiB
	EOT
}

# wrong KEY VALUE <WHOLE: that cluster with another value of the last such key.
wrong() {
	tac | awk -v key="$1" -v value="$2" '!done && match($0, "^ *(- )?" key ":") {
		$0 = substr($0, 1, RLENGTH) " " value; done = 1 } { print }' | tac
}

@test "without the boards there is no schema and no reference, rather than one that takes any" {
	mkdir data && cp -r "$top/configs" data/
	for words in '' --reference; do
		# shellcheck disable=SC2086 # a word or none
		PIBUILD_DATA=$PWD/data streams "$PIBUILD" schema $words
		[ "$status" -ne 0 ]
		[ -z "$output" ]
		grep -q boards <<<"$stderr"
	done
}

@test "the schema takes and refuses the same addresses, boards and names as check" {
	need_jsonschema
	local word=invalid code=3 n=0
	whole >whole.yaml
	while read -r key value; do
		[ "$key" != -- ] || { word=valid && code=0 && continue; }
		wrong "$key" "$value" <whole.yaml >"$n.yaml"
		printf '%s.yaml: %s\n' "$n" "$word" >>words
		run "$PIBUILD" check -c "$n.yaml"
		[ "$status" -eq $code ] || { echo "check: $key: $value: $output"; return 1; }
		n=$((n + 1))
	done < <(addresses)
	[ "$n" -gt 40 ]
	mapfile -t files < <(cut -d: -f1 words)
	judge schema.json "${files[@]}" >said
	judged <words || { paste words <(addresses | grep -v '^--'); return 1; }
}

# A language server on this machine; `make check-editor` brings one.
need_language_server() {
	server=${YAML_LANGUAGE_SERVER:-$(command -v yaml-language-server || true)}
	[ -x "$server" ] || skip "needs yaml-language-server of npm: make check-editor"
}

@test "an editor has nothing against the examples" {
	need_language_server
	whole >whole.yaml
	# shellcheck disable=SC2046 # one path a word
	python3 "$top/tests/lib/lsp.py" "$server" --schema schema.json whole.yaml \
		$(example_clusters) >said
	[ ! -s said ] || { cat said; return 1; }
}

@test "an editor complains where check does" {
	need_language_server
	local n=0
	whole >whole.yaml
	while read -r key value; do
		[ "$key" != -- ] || break
		wrong "$key" "$value" <whole.yaml >"bad-$((n += 1)).yaml"
	done < <(addresses)
	while read -r edit; do
		whole | sed -E "$edit" >"bad-$((n += 1)).yaml"
		refute cmp -s <(whole) "bad-$n.yaml" || { echo "changes nothing: $edit"; return 1; }
	done <<-'EOT'
		s/gateway:/gatway:/
		s/cluster:/clustr:/
		s/role: .*/role: master/
		s/role: .*/role: server/
		s/    role: .*//
		s/  user: .*//
		s/^apiVersion: .*/apiVersion: pibuild\/v2/
		s/^cilium:/cilium: {ingress: yes}/
		s/^cilium:/cilium: {ingress: "true"}/
		s/^cilium:/cilium: {hubble: {ui: "no"}}/
		s/^cilium:/cilium: on/
		s/^cilium:/airgap: 1/
		s/^cilium:/versions: {k3s: latest}/
		s/^cilium:/versions: {k3s: 1.36.4}/
		s/^cilium:/versions: {cilium: v1.20.0}/
		s/^cilium:/certManager: {dns01: {provider: digitalocean, accessToken: dop_v1_x}}/
		s/^cilium:/certManager: {dns01: {provider: digitalocean, apiToken: {env: X}}}/
		s/^cilium:/certManager: {issuers: [letsencrypt]}/
		s/^cilium:/certManager: {email: me}/
		s/^cilium:/os: {base: ubuntu}/
		s/^cilium:/os: {base: "http:\/\/x\/y.img"}/
		s/^cilium:/mirrors: [{from: "http:\/\/x\/", to: "https:\/\/y\/"}]/
		s/subnet:.*/&\n  vlan: 5000/
		s/subnet:.*/&\n  wifi: {ssid: x, passphrase: secret123, country: DE}/
		s/subnet:.*/&\n  wifi: {ssid: x, passphrase: {env: PATH}, country: Germany}/
		s/nameservers: .*/nameservers: 192.168.1.1/
		s/nameservers: .*/nameservers: [192.168.1.1, dns.lan]/
		s/sshKeys: .*/sshKeys: ~\/.ssh\/id_ed25519.pub/
		s/sshKeys: .*/sshKeys: [~\/.ssh\/id_ed25519.pub]/
		s/sshKeys: .*/sshKeys: [{path: x}]/
		s/  user: .*/&\n  timezone: Berlin time/
		s/  user: .*/&\n  passwordHash: secret/
		s/  user: .*/&\n  user: ann/
		s/range: .*/range: 192.168.1.64\/26/
		s/  pools:/  pools: {}\n  pool:/
	EOT
	python3 "$top/tests/lib/lsp.py" "$server" --schema schema.json bad-*.yaml >editor
	for file in bad-*.yaml; do
		run "$PIBUILD" check -c "$file"
		[ "$status" -eq 3 ] || { cat "$file"; echo "check takes it"; return 1; }
		comm -12 <(sed -n "s/^\($file:[0-9]*\):.*/\1/p" editor | sort -u) \
			<(sed -n "s/^\($file:[0-9]*\):[0-9]*: error.*/\1/p" <<<"$output" | sort -u) | grep -q . || {
			echo "$file, check: $output" && grep "^$file:" editor && cat "$file"
			return 1
		}
	done
}

@test "a file of init finds its schema in any editor, wherever pibuild lies" {
	mkdir 'da ta%é' && cp -r "$top"/{boards,configs,docs} 'da ta%é/'
	for data in "$top" "$PWD/da ta%é"; do
		PIBUILD_DATA=$data "$PIBUILD" init --yes --subnet 192.168.7.0/24 -c "lab-${#data}.yaml" >/dev/null
		url=$(sed -n '1s/^# yaml-language-server: \$schema=file:\/\/\([^ ]*\)$/\1/p' "lab-${#data}.yaml")
		cmp "$(python3 -c 'import sys, urllib.parse; print(urllib.parse.unquote(sys.argv[1]))' "$url")" schema.json
		sed 's/^  gateway: .*/  gateway: router.lan/' "lab-${#data}.yaml" >"bad-${#data}.yaml"
	done
	need_language_server
	python3 "$top/tests/lib/lsp.py" "$server" lab-*.yaml >said
	[ ! -s said ] || { cat said; return 1; }
	python3 "$top/tests/lib/lsp.py" "$server" bad-*.yaml >said
	[ "$(grep -c 'give an IPv4 address such as' said)" -eq 2 ] || { cat said; return 1; }
}

@test "docs/reference.md is what the program prints" {
	"$PIBUILD" schema --reference >reference.md
	diff -u "$top/docs/reference.md" reference.md
}

@test "every key of the schema is on the reference page" {
	jq -r '[paths | map(select(. != "properties" and . != "items")) | map(tostring)] | unique | .[] | join(".")' \
		<(jq '.properties | walk(if type == "object" then with_entries(select(.value | type == "object")) else . end)
			| del(.. | .oneOf?, .anyOf?, .patternProperties?, .propertyNames?, .additionalProperties?)' schema.json) | grep -v -e '\.file$' >keys
	[ "$(wc -l <keys)" -gt 50 ]
	sed 's/\[\]//g' "$top/docs/reference.md" | grep -o '| `[^`]*` |' | sed 's/| `\(.*\)` |/\1/' | sort -u >documented
	sort -u keys | comm -23 - documented >silent
	[ ! -s silent ] || { echo 'not documented:'; cat silent; return 1; }
}
