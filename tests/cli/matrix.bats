#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# slow: clusters of hundreds of nodes
# plan --matrix: the jobs of a CI engine. Judged by jq and PyYAML, as the engines' own parsers would be.

load ../lib/image

setup() {
	cd "$BATS_TEST_TMPDIR"
	own_key
	write_cluster
}

fleet() {
	"$top/scripts/fleet" "$@" >cluster.yaml
}

matrix() {
	"$PIBUILD" plan --matrix "$@"
}

# each_once: of the words on stdin every node of cluster.yaml once, and nothing else.
each_once() {
	LC_ALL=C sort >words
	sed -n 's/^  - {name: \([a-z0-9-]*\),.*/\1/p' cluster.yaml | LC_ALL=C sort | cmp - words
}

# gitlab_nodes FILE: PIBUILD_NODES of each job on a line.
gitlab_nodes() {
	python3 -c 'import sys, yaml
for job in yaml.safe_load(open(sys.argv[1]))["pibuild"]["parallel"]["matrix"]: print(job["PIBUILD_NODES"])' "$1"
}

@test "github: one line, whose object has the jobs" {
	matrix github >m
	[ "$(wc -l <m)" -eq 1 ]
	jq -e 'keys == ["include"] and (.include | length) == 2' m
	jq -e '.include[1] == {name: "w-1", node: "w-1", role: "worker", board: "rpi5", image: "w-1.img",
		args: "--node w-1", layer: .include[1].layer, cacheKey: .include[1].cacheKey}' m
	# every value is text: what a matrix and an environment variable can hold
	jq -e '[.include[][] | type] | unique == ["string"]' m
}

@test "github: args are options of the build, without quotes" {
	fleet 7
	args=$(matrix github --batch 2 | jq -r '.include[0].args')
	# shellcheck disable=SC2086 # that is the point
	"$PIBUILD" plan --json $args | jq -e '[.nodes[].name] == ["cp-1", "cp-2"]'
}

@test "a job's nodes share one layer, which is that of the plan" {
	fleet 60
	"$PIBUILD" plan --json | jq '[.nodes[] | {key: .name, value: .layer}] | from_entries' >layers
	matrix github --batch 8 | jq -e --slurpfile l layers \
		'all(.include[]; .layer as $layer | all(.node | split(" ")[]; $l[0][.] == $layer))'
}

@test "words for node, board and image stand in the same order" {
	fleet 7
	matrix github --batch 4 | jq -e '.include[1] | .node == "w-001 w-002 w-003 w-004" and .board == "rpi5 cm5 rpi5 cm5"
		and .image == "w-001.img w-002.img w-003.img w-004.img" and .name == "w-001+3"'
}

@test "200 nodes stay within the limits of both engines and every node is there once" {
	fleet 200
	for batch in '' 20; do
		matrix github ${batch:+--batch $batch} >m
		jq -e '.include | length <= 256' m
		[ "$(jq -r '.include[].name' m | sort | uniq -d)" = '' ]
		jq -r '.include[].node' m | tr ' ' '\n' | each_once
		matrix gitlab ${batch:+--batch $batch} >m.yml
		gitlab_nodes m.yml >nodes
		[ "$(wc -l <nodes)" -le 200 ]
		[ "$(awk '{print "pibuild: [" $0 "]"}' nodes | wc -L)" -le 255 ]
		tr ' ' '\n' <nodes | each_once
	done
}

@test "by default as few nodes to a job as the engine's limit allows" {
	matrix github | jq -e '[.include[].node] == ["cp-1", "w-1"]'
	fleet 257
	matrix github | jq -e '(.include | length) <= 256 and ([.include[].node | split(" ") | length] | max) == 2'
}

@test "a batch that makes too many jobs is refused with one that does not" {
	fleet 210
	fails 2 '--batch 1 makes 210 jobs, and a matrix of gitlab takes 200; use --batch 2 or more' matrix gitlab --batch 1
	matrix gitlab --batch 2 >m.yml
	[ "$(gitlab_nodes m.yml | wc -l)" -le 200 ]
}

@test "more nodes than fit under long names are refused with what to do" {
	fleet 640
	sed -i -E 's/name: (w-[0-9]+)/name: \1-of-a-name-that-is-as-long-as-the-name-of-a-node-ever-gets/' cluster.yaml
	fails 2 '640 nodes do not fit into a matrix of gitlab, which takes 200 jobs; make several, with --role or --node' \
		matrix gitlab
	matrix gitlab --role control-plane >m.yml
	[ "$(gitlab_nodes m.yml | wc -l)" -eq 5 ]
}

@test "gitlab: a pipeline whose job extends one that is to be given" {
	matrix gitlab >m.yml
	python3 -c 'import json, yaml; print(json.dumps(yaml.safe_load(open("m.yml"))))' |
		jq -e '.pibuild.extends == ".pibuild" and .pibuild.parallel.matrix[0].PIBUILD_NODES == "cp-1"
			and (.variables.PIBUILD_CACHE_KEY | test("^[0-9a-f]{64}$"))'
}

@test "a node with a number for a name stays text" {
	sed -i 's/name: w-1,/name: "007",/' cluster.yaml
	matrix gitlab >m.yml
	[ "$(gitlab_nodes m.yml | tail -n 1)" = 007 ]
	matrix github | jq -e '.include[1].node == "007"'
}

@test "--node and --role choose among the nodes" {
	[ "$(matrix github --role worker | jq -r '.include[].node')" = w-1 ]
	[ "$(matrix github --node cp-1 | jq -r '.include[].node')" = cp-1 ]
}

@test "generic images are a job for each role" {
	fleet 20
	[ "$(matrix github --generic | jq -r '.include[] | [.name, .role, .board, .image, .args] | join(" ")')" = \
		"control-plane control-plane any control-plane.img --generic --role control-plane
worker worker any worker.img --generic --role worker" ]
	matrix gitlab --generic >m.yml
	[ "$(gitlab_nodes m.yml | xargs)" = 'control-plane worker' ]
}

@test "cacheKey is the plan's, and changes with what would be downloaded, not with the nodes" {
	key=$("$PIBUILD" plan --json | jq -r .cacheKey)
	[[ "$key" =~ ^[0-9a-f]{64}$ ]]
	[ "$(matrix github | jq -r '[.include[].cacheKey] | unique[]')" = "$key" ]
	grep -q "PIBUILD_CACHE_KEY: \"\?$key" <(matrix gitlab)
	sed -i 's/name: w-1,/name: w-9,/; s/Berlin/Paris/' cluster.yaml
	[ "$("$PIBUILD" plan --json | jq -r .cacheKey)" = "$key" ]
	cp "$top/configs/pibuild.lock" .
	[ "$("$PIBUILD" plan --json | jq -r .cacheKey)" = "$key" ]
	k3s=$("$PIBUILD" plan --json | jq -r '.artifacts[] | select(.name == "k3s") | .sha256')
	sed -i "s/$k3s/$(printf %064d 0)/" pibuild.lock
	[ "$("$PIBUILD" plan --json | jq -r .cacheKey)" != "$key" ]
}

@test "it needs no cache, no network and no secrets, and writes nothing" {
	run strace -f -qq -e trace=connect,socket -e signal=none "$PIBUILD" plan --matrix github
	[ "$status" -eq 0 ]
	[[ "$output" != *AF_INET* ]]
	[ "$(ls | xargs)" = 'cluster.yaml home' ]
}

@test "an unknown engine, a batch of nothing and a batch without a matrix are usage errors" {
	fails 2 "--matrix wants github or gitlab, not 'jenkins'" matrix jenkins
	fails 2 '--batch wants a number from 1 to 1000' matrix github --batch 0
	fails 2 '--batch goes with --matrix' "$PIBUILD" plan --batch 3
	fails 2 'pibuild build takes no --matrix' "$PIBUILD" build --matrix github
}

@test "scripts/fleet makes clusters that check has nothing against" {
	own_key
	for n in 3 99 200; do
		fleet $n
		"$PIBUILD" check 2>&1 | grep -q "ok: $n nodes"
	done
	run "$top/scripts/fleet" 2
	[ "$status" -eq 2 ]
}

@test "what 500 nodes take of memory is no multiple of each with each" {
	fleet 500
	python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$PIBUILD" plan -q >most
	[ "$(cat most)" -lt 1000000 ]
}
