#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `schema`: what editors and readers get must agree with what `check` does.

bats_require_minimum_version 1.5.0
load ../lib/image
load ../lib/refute

setup() {
	cd "$BATS_TEST_TMPDIR"
	"$PIBUILD" schema >schema.json
	own_key
}

# judge FILE: what a stranger says of the file by the schema, one line per fault; nothing but "valid" when there is none.
judge() {
	python3 - "$1" 2>&1 <<'EOT'
import json, sys, yaml, jsonschema

schema = json.load(open('schema.json'))
jsonschema.Draft202012Validator.check_schema(schema)

class Loader(yaml.SafeLoader):
    # dates are text, as in YAML 1.2
    yaml_implicit_resolvers = {k: [r for r in v if r[0] != 'tag:yaml.org,2002:timestamp']
                               for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}

errors = list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.load(open(sys.argv[1]), Loader)))
for e in errors:
    print('fault:', '/'.join(map(str, e.path)), e.message)
print('invalid' if errors else 'valid')
EOT
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
		| select(.key | IN("env", "file", "command", "provider") | not)
		| select((.value.description // .value.anyOf[0].description // "") == "") | .key' schema.json >silent
	[ ! -s silent ] || { cat silent; return 1; }
}

@test "every example cluster is valid by the schema, says a stranger" {
	need_jsonschema
	for f in "$top"/configs/{default,single,homelab,ha,mixed,airgap,wifi,azure,route53,demo}.yaml; do
		[ "$(judge "$f")" = valid ] || { echo "$f"; judge "$f"; return 1; }
	done
}

@test "the schema refuses what check refuses: unknown keys, wrong types, wrong words, literal secrets" {
	need_jsonschema
	good=$top/configs/homelab.yaml
	for change in 's/gateway:/gatway:/' 's/ingress: auto/ingress: yes please/' 's/role: worker/role: master/' \
		's/name: homelab/name: Home_Lab/' 's/accessToken: .*/accessToken: dop_v1_x/' 's/accessToken:/apiToken:/' \
		's/^airgap.*//; s/^cluster:/airgap: "yes"\ncluster:/' '/^apiVersion/d'; do
		sed -E "$change" "$good" >bad.yaml
		refute cmp -s "$good" bad.yaml || { echo "changes nothing: $change"; return 1; }
		judge bad.yaml | tail -1 | grep -qx invalid || { echo "taken: $change"; judge bad.yaml; return 1; }
		DO_TOKEN=x run "$PIBUILD" check -c bad.yaml
		[ "$status" -eq 3 ] || { echo "check takes: $change"; return 1; }
	done
}

@test "docs/reference.md is what the program prints" {
	"$PIBUILD" schema --reference >reference.md
	diff -u "$top/docs/reference.md" reference.md
}

@test "every key of the schema is on the reference page" {
	jq -r '[paths | map(select(. != "properties" and . != "items")) | map(tostring)] | unique | .[] | join(".")' \
		<(jq '.properties | walk(if type == "object" then with_entries(select(.value | type == "object")) else . end)
			| del(.. | .oneOf?, .anyOf?)' schema.json) | grep -v -e '\.file$' >keys
	[ "$(wc -l <keys)" -gt 50 ]
	while read -r key; do
		sed 's/\[\]//g' "$top/docs/reference.md" | grep -qF "| \`$key\` |" || { echo "not documented: $key"; return 1; }
	done <keys
}
