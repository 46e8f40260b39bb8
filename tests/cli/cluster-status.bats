#!/usr/bin/env bats
# slow: an sshd for each node of every case
# SPDX-License-Identifier: Apache-2.0
# pibuild status without an argument, and pibuild ssh: the real ssh and sshd, the card's own pibuild-status behind it, and
# the stand-in of the API (lib/remote.bash).

load ../lib/remote

teardown() {
	all_down
}

ago() {
	date -u -d "$1 ago" +%Y-%m-%dT%H:%M:%S.123456Z
}

# lease NAMESPACE NAME HOLDER TIME
lease() {
	printf 'apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: %s\n  namespace: %s\nspec:\n  holderIdentity: %s\n  renewTime: "%s"\n' \
		"$2" "$1" "$3" "$4" | put_object "lease/$1/$2"
}

# known NODE [REPORT]: what the API has of it
known() {
	printf '    pibuild.io/report: "%s"\nstatus:\n  nodeInfo:\n    kubeletVersion: v1.36.4+k3s1\n    osImage: Debian GNU/Linux 13 (trixie)\n    kernelVersion: 6.12.75+rpt-rpi-2712\n' "${2:-done}" >>"state/objects/node/_/$1"
	lease kube-node-lease "$1" "$1" "$(ago '3 seconds')"
}

# report NODE STATE [STEP_STATE]: of two steps; backed up two hours ago, certificates for 300 days
report() {
	cat >"card-$1/run/pibuild/status.json" <<-EOT
		{
		  "apiVersion": "pibuild/v1", "kind": "Status", "cluster": "lab", "node": "$1",
		  "role": "$(case $1 in cp-*) echo control-plane ;; *) echo worker ;; esac)",
		  "state": "$2",
		  "time": "2026-11-25T16:00:00Z", "certificatesUntil": "$(date -u -d '+300 days 1 hour' +%Y-%m-%dT%H:%M:%SZ)",
		  "backup": {"time": "$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%SZ)", "name": "lab.gz"},
		  "steps": [
		    {"name": "preflight", "title": "Checks", "state": "done", "cause": "", "cure": "", "attempts": 1, "since": "2026-11-25T15:50:00Z", "unit": "pibuild-preflight.service"},
		    {"name": "cni", "title": "Cilium", "state": "${3:-$2}", "cause": "$([ "$2" = done ] || echo 'the API does not answer')", "cure": "$([ "$2" = done ] || echo 'look at k3s')", "attempts": 7, "since": "2026-11-25T15:59:00Z", "unit": "pibuild-cni.service"}]
		}
	EOT
	printf 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n' >"card-$1/etc/os-release"
}

# valid: what is on stdin is as the schema says, says a stranger
valid() {
	"$PIBUILD" schema cluster-status >schema.json
	python3 -c 'import json, sys, jsonschema
jsonschema.Draft202012Validator(json.load(open("schema.json")), format_checker=jsonschema.FormatChecker()).validate(json.load(sys.stdin))'
}

@test "a cluster that is done: one table, exit 0; JSON by its schema" {
	machines cp-1=up cp-2=up cp-3=up w-1=up
	up cp-1 cp-2 cp-3 w-1
	for node in cp-1 cp-2 cp-3 w-1; do known $node && report $node done; done
	lease kube-system plndr-cp-lock cp-2 "$(ago '2 seconds')"
	sed -i 's/^cluster: .*/cluster: {name: lab, vip: 192.168.1.30}/' cluster.yaml
	"$PIBUILD" status >out 2>err
	grep -qx 'cluster lab: 4 of 4 nodes done' out
	grep -qE '^  node +state +steps +K3s +system +certificates for +backup before +heard of$' out
	grep -qE '^  cp-1 +done +2/2 +v1\.36\.4\+k3s1 +Debian GNU/Linux 13 \(trixie\) +300 d +2 h +now, over SSH$' out
	grep -qE '^  cp-2\* +done ' out
	grep -qx '  \* has 192.168.1.30, cluster.vip' out
	grep -q "cards are not compared with cluster.yaml: there is no secrets.yaml here" out
	grep -qE '^API +https://192\.168\.1\.30:6443$' out
	grep -qE '^Hubble UI +http://localhost:12000  \(while `kubectl .*` runs\)$' out
	"$PIBUILD" status --json >status.json 2>err
	valid <status.json
	jq -e '.done and .api == "cp-1" and ([.nodes[] | select(.holdsVIP).name] == ["cp-2"])
		and .nodes[0].heard == "ssh" and .nodes[0].ready == "yes" and .nodes[0].kernel == $kernel' --arg kernel "$(uname -r)" status.json
}

@test "a node at work, one that only the API hears of, one that is silent, one that never came" {
	machines cp-1=up cp-2=up w-1=dead w-2=up
	up cp-1
	known cp-1 && known cp-2 && known w-1
	report cp-1 working waiting
	lease kube-node-lease w-1 w-1 "$(ago '3 hours')"
	rm state/objects/node/_/w-2
	run "$PIBUILD" status
	[ "$status" -eq 1 ]
	echo "$output" >out
	grep -qE '^  cp-1 +working +1/2 ' out
	grep -qx '      at:   cni' out
	grep -qx '      why:  the API does not answer' out
	grep -qx '      cure: look at k3s' out
	grep -qE '^  cp-2 +done +v1\.36\.4\+k3s1 +Debian .* by the API alone$' out
	grep -qE '^  w-1 +absent .* silent for 3 h$' out
	grep -q '      why:  the cluster does not hear of it, and w-1 (192.168.1.21) does not answer on SSH' out
	grep -qE '^  w-2 +absent +silent$' out
	grep -q '      why:  it has not joined, and w-2 (192.168.1.22) does not answer on SSH' out
	grep -q '1 of 4 nodes of lab are done; not cp-1 (working), w-1 (absent), w-2 (absent)' out
	"$PIBUILD" status --json >status.json 2>err || [ $? -eq 1 ]
	valid <status.json
}

@test "a node that is given no new pods is told, however it was heard of, and is done all the same" {
	machines cp-1=up w-1=up w-2=up
	up cp-1 w-1
	for node in cp-1 w-1 w-2; do known $node; done
	for node in cp-1 w-1; do report $node done; done
	mkdir -p state/cordoned && touch state/cordoned/w-1 state/cordoned/w-2
	"$PIBUILD" status >out 2>err
	[ "$(grep -A1 '^  [cw]' out | grep -c '^      note: it takes no new pods: ')" -eq 2 ]
	grep -A1 '^  w-2 ' out | grep -qxF '      note: it takes no new pods: `pibuild apply` ends that where an apply was cut off, else `kubectl uncordon w-2`'
	"$PIBUILD" status --json >status.json 2>err
	valid <status.json
	[ "$(jq -c '[.nodes[] | select(.cordoned).name]' status.json)" = '["w-1","w-2"]' ]
}

@test "by the API alone too a node that is done and not Ready has failed" {
	machines cp-1=up w-1=up
	up cp-1
	known cp-1 && known w-1
	report cp-1 done
	echo 'node w-1 Ready False told' >state/faults/conditions
	run "$PIBUILD" status
	[ "$status" -eq 1 ]
	echo "$output" >out
	grep -qE '^  w-1 +failed .* by the API alone$' out
	grep -q '      why:  its steps are done, and the API says that it is not Ready' out
	grep -q '      cure: See why: kubectl describe node w-1' out
}

@test "a machine with a system of its own is what the API says of it, and nobody knocks at its door" {
	machines cp-1=up w-1=up w-2=up
	up cp-1
	known cp-1 && known w-1 && known w-2
	report cp-1 done
	sed -i '/name: w-/s/board: rpi5/board: external, arch: arm64/' cluster.yaml
	echo 'node w-2 Ready False told' >state/faults/conditions
	run "$PIBUILD" status
	[ "$status" -eq 1 ]
	echo "$output" >out
	grep -qE '^  w-1 +done +v1\.36\.4\+k3s1 .* by the API alone$' out
	grep -qE '^  w-2 +failed .* by the API alone$' out
	grep -q '      why:  the API says that it is not Ready' out
	grep -q '      cure: See why: kubectl describe node w-2' out
	[[ "$output" != *'SSH would say more'* ]]
	grep -q '2 of 3 nodes of lab are done; not w-2 (failed)' out
}

@test "leases are held against the cluster's time, not against a clock here that goes wrong" {
	machines cp-1=up w-1=dead w-2=up
	up cp-1
	known cp-1 && known w-1 && known w-2
	report cp-1 done
	echo 'node w-2 Ready False told' >state/faults/conditions
	for ahead in -7200 7200; do
		lease kube-node-lease cp-1 cp-1 "$(ago "$ahead seconds")"
		lease kube-node-lease w-1 w-1 "$(ago "$((ahead + 5400)) seconds")"
		lease kube-node-lease w-2 w-2 "$(ago "$((ahead + 3)) seconds")"
		run "$PIBUILD" status
		[ "$status" -eq 1 ]
		echo "$output" >out
		grep -qE '^  w-1 +absent .* silent for (89|90) min$' out
		grep -qE '^  w-2 +failed .* by the API alone$' out
	done
}

@test "no server answers: what is heard is told, and that the API was not asked; a done node that is not Ready has failed" {
	machines cp-1=up w-1=up
	up w-1
	report w-1 done
	run "$PIBUILD" status
	[ "$status" -eq 1 ]
	[[ "$output" == *'the API could not be asked: no server answers on SSH'* ]]
	[[ "$output" == *'1 of 2 nodes of lab are done; not cp-1 (absent)'* ]]
	up cp-1
	report cp-1 done
	known w-1 && known cp-1
	echo 'node w-1 Ready False told' >state/faults/conditions
	run "$PIBUILD" status
	[ "$status" -eq 1 ]
	[[ "$output" == *'its steps are done, and the API says that it is not Ready'* ]]
}

@test "--wait tells what changes and ends when all are done, or with its patience" {
	machines w-1=up cp-1=up
	up cp-1 w-1
	known cp-1 && known w-1
	report cp-1 done
	report w-1 working running
	: >err
	(until grep -q 'w-1 working' err; do /usr/bin/sleep 0.1; done && report w-1 done) &
	"$PIBUILD" status --wait --timeout 120 >out 2>err
	grep -qE '^pibuild: [0-9:]{8} w-1 working: cni \(1 of 2\): the API does not answer$' err
	grep -qE '^pibuild: [0-9:]{8} w-1 done$' err
	[ "$(grep -c ' cp-1 ' err)" -eq 1 ]
	grep -qx 'cluster lab: 2 of 2 nodes done' out
	report w-1 failed
	run "$PIBUILD" status --wait --timeout 1
	[ "$status" -eq 1 ]
	[[ "$output" == *'after 1 seconds not all nodes are done'* ]]
	[[ "$output" == *'not w-1 (failed)'* ]]
}

@test "--watch draws in the same place on a terminal, and elsewhere tells what changes; Ctrl-C ends it" {
	machines cp-1=up
	up cp-1
	known cp-1
	report cp-1 done
	TERM=xterm "$top/tests/lib/terminal.py" 200 "$PIBUILD" status --watch --wait >drawn
	grep -qF '\e[H\e[J' drawn
	grep -q 'cluster lab: 1 of 1 nodes done' drawn
	"$PIBUILD" status --watch >out 2>err &
	interrupted $! grep -q 'cp-1 done$' err
	refute grep -q $'\e' out err
	run "$PIBUILD" status --watch cluster.yaml
	[ "$status" -eq 2 ]
	[[ "$output" == *'--watch and --wait are of the whole cluster'* ]]
}

@test "status without a cluster.yaml says what it could be given" {
	run "$PIBUILD" status
	[ "$status" -eq 3 ]
	[[ "$output" == *'there is no cluster to ask (of a card give the device, or its report): `pibuild init`'* ]]
}

@test "the addresses at the end: of the gateway and what is behind it, where cluster.yaml has one" {
	machines cp-1=up
	"$PIBUILD" status --json 2>err | jq -e '[.urls[].name] == ["API", "Hubble UI"] and (.urls[1].how | test("port-forward"))'
	printf 'certManager: {issuers: [ca]}\nloadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.79}]}\ngateway: {address: 192.168.1.70, zones: [home.example.com], hubble: hubble.home.example.com}\n' >>cluster.yaml
	"$PIBUILD" status --json 2>err | jq -e '[.urls[] | .name, .url] == ["API", "https://192.168.1.11:6443", "Gateway", "https://*.home.example.com", "Hubble UI", "https://hubble.home.example.com"] and .urls[2].how == ""' || { cat err; return 1; }
}

# --- ssh

@test "ssh runs a command on a node as its user and keeps its host key by card; another machine there is refused" {
	machines cp-1=up w-1=up
	up w-1
	[ "$("$PIBUILD" ssh w-1 'echo "$NODE: a  b"')" = 'w-1: a  b' ]
	[ "$(echo in | "$PIBUILD" ssh w-1 -- tr -d n)" = i ]
	# Its options are its own, those that pibuild has too.
	[ "$("$PIBUILD" ssh -q w-1 echo -o wide -h --json -- --nosuch)" = '-o wide -h --json -- --nosuch' ]
	grep -q '^w-1\.lab ' known_hosts
	mkdir elsewhere && cd elsewhere
	[ "$("$PIBUILD" ssh -c ../cluster.yaml w-1 hostname)" = "$(hostname)" ]
	[ ! -e known_hosts ]
	cd ..
	run "$PIBUILD" ssh w-1 exit 7
	[ "$status" -eq 7 ]
	run "$PIBUILD" ssh w-9
	[ "$status" -eq 2 ]
	[[ "$output" == *"cluster.yaml has no node 'w-9'; did you mean w-1?"* ]]
	down w-1
	rm host-w-1 host-w-1.pub
	up w-1
	run "$PIBUILD" ssh w-1 true
	[ "$status" -eq 255 ]
	[[ "$output" == *'HOST IDENTIFICATION HAS CHANGED'* ]]
}

# --- the API from here

# serve CA KEY: openssl's own server at cp-1's address and K3s's port, which wants a certificate of the cluster's clients; until it is killed
serve() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.pem -subj /CN=k3s -days 9 \
		-CA "$1" -CAkey "$2" -addext subjectAltName=IP:192.168.1.11 -addext basicConstraints=critical,CA:FALSE 2>/dev/null
	(cd api && exec openssl s_server -accept 192.168.1.11:6443 -cert ../server.pem -key ../server.key -CAfile ../clients.pem -Verify 2 -verify_return_error -WWW -quiet 2>../server.log) &
	for _ in $(seq 100); do
		openssl s_client -connect 192.168.1.11:6443 </dev/null >seen.log 2>&1
		if grep -q 'BEGIN CERTIFICATE' seen.log; then break; fi
		/usr/bin/sleep 0.1
	done
}

@test "where no server lets anybody in over SSH the API is asked from here, as kubectl would: by the cluster's own CA, and read alone" {
	unshare -rn true 2>/dev/null || skip "no network namespaces for this user"
	machines cp-1=up w-1=up w-2=up
	"$PIBUILD" secrets new 2>err
	"$PIBUILD" secrets show --show-secrets --json >secrets.json
	jq -j .ca.server.certificate secrets.json >ca.pem
	jq -j .ca.server.key secrets.json >ca.key
	jq -j .ca.client.certificate secrets.json >clients.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger.key -out stranger.pem -subj /CN=stranger -days 9 2>/dev/null
	mkdir -p api/api/v1 api/apis/coordination.k8s.io/v1
	node() {
		jq -n --arg name "$1" --arg ready "$2" --arg report "$3" '{metadata: {name: $name, labels: {"node-role.kubernetes.io/control-plane": "true"}, annotations: {"pibuild.io/report": $report}},
			spec: (if $name == "w-1" then {unschedulable: true} else {} end), status: {addresses: [{type: "Hostname", address: $name}, {type: "InternalIP", address: "192.168.1.11"}], conditions: [{type: "DiskPressure", status: "False"}, {type: "Ready", status: $ready}],
			nodeInfo: {kubeletVersion: "v1.36.4+k3s1", osImage: "Debian GNU/Linux 13 (trixie)", kernelVersion: "6.12"}}}'
	}
	{ node cp-1 True 'done' && node w-1 False $'failed|a \e[31mcause' && node w-2 False 'done'; } | jq -s '{kind: "NodeList", items: .}' >api/api/v1/nodes
	jq -n --arg now "$(ago '3 seconds')" --arg old "$(ago '3 hours')" '{kind: "LeaseList", items: [{metadata: {namespace: "kube-node-lease", name: "cp-1"}, spec: {holderIdentity: "cp-1", renewTime: $now}},
		{metadata: {namespace: "kube-node-lease", name: "w-1"}, spec: {holderIdentity: "w-1", renewTime: $now}}, {metadata: {namespace: "kube-node-lease", name: "w-2"}, spec: {holderIdentity: "w-2", renewTime: $old}}]}' >api/apis/coordination.k8s.io/v1/leases
	export -f serve
	# shellcheck disable=SC2016 # a shell of its own
	unshare -rn bash -c 'ip link set lo up && ip address add 192.168.1.11/32 dev lo
		"$PIBUILD" status >silent 2>&1; echo $? >>silent
		serve stranger.pem stranger.key; "$PIBUILD" status >foreign 2>&1; kill %% $!
		wait; serve ca.pem ca.key; https_proxy=http://192.168.1.11:9 "$PIBUILD" status >out 2>&1; "$PIBUILD" status --json >status.json 2>err
		: >api/api/v1/nodes; "$PIBUILD" status >empty 2>&1; kill $!' 2>shell.log || true
	grep -q 'the API could not be asked: no server answers on SSH, and from here 192.168.1.11: .*connect to' silent
	[ "$(tail -n 1 silent)" = 1 ]
	grep -q 'from here 192.168.1.11: its certificate is not by the CA that it has to be by' foreign
	grep -qE '^  cp-1 +done +v1\.36\.4\+k3s1 +Debian .* by the API alone$' out
	grep -qE '^  w-1 +failed .* by the API alone$' out
	grep -q '      why:  a .*cause' out
	refute grep -q $'\e' out
	grep -qE '^  w-2 +absent .* silent for 3 h$' out
	valid <status.json
	jq -e '.api == "192.168.1.11" and .nodes[0].heard == "api" and .nodes[1].ready == "no" and (.nodes | map(.cordoned)) == [false, true, false]' status.json
	grep -q 'from here 192.168.1.11: what it sent is no list of Kubernetes' empty
}

# --- what is on the cards

@test "a node's manifest is held against cluster.yaml: status tells how many paths differ, plan --live which" {
	machines cp-1=up w-1=up w-2=up
	up cp-1 w-1
	"$PIBUILD" secrets new 2>err
	for node in cp-1 w-1; do known $node && report $node done; done
	printf '{"node": "w-1", "role": "worker", "files": [{"path": "/etc/mine", "kind": "file", "origin": "your overlays/worker", "mode": "0644", "uid": 0, "gid": 0, "size": 2, "sha256": "%s"}]}\n' \
		"$(echo x | sha256sum | cut -d ' ' -f 1)" >card-w-1/etc/pibuild/manifest.json
	"$PIBUILD" plan --live --json >plan.json 2>err
	all=$(jq '[.nodes[] | select(.name == "w-1").entries[] | select(.kind != "remove")] | length' plan.json)
	jq -e --argjson all "$all" '.standing[1].live | .state == "differs" and (.paths | length) == $all + 1
		and (.paths[] | select(.path == "/etc/mine").change == "gone")' plan.json
	jq -e '.standing[0].live | .state == "unknown" and (.words | test("no manifest"))' plan.json
	jq -e '.standing[2].live | .state == "unknown" and (.words | test("w-2 .* does not answer on SSH"))' plan.json
	"$PIBUILD" plan --live >out 2>err
	grep -qE "^  w-1 +none +none +$((all + 1)) paths differ$" out
	grep -qx '  gone     /etc/mine  (your overlays/worker)' out || grep -q "  and $((all + 1 - 12)) more: --json has all" out
	grep -qx 'build makes cp-1 w-1 w-2' out
	grep -qx 'flash writes cp-1 w-1 w-2' out
	run "$PIBUILD" status
	[[ "$output" == *" $((all + 1)) paths differ  now, over SSH"* ]]
	[[ "$output" == *"cards are not compared with cluster.yaml: it has no manifest"* ]]
	sed -i 's/"node": "w-1"/"node": "w-2"/' card-w-1/etc/pibuild/manifest.json
	"$PIBUILD" plan --live --node w-1 --json 2>err | jq -e '.standing[0].live.words | test("is the manifest of w-2, not of w-1")'
}

@test "a card that flash wrote is known again by what was planned for it, whenever cluster.yaml was touched" {
	machines cp-1=up
	"$PIBUILD" secrets new 2>err
	printf '{"time":"2026-11-01T10:00:00Z","state":"done","node":"cp-1","cluster":"lab","made":"%s","serial":"S","model":"M","disk":"/dev/sdx","size":1}\n' \
		"$(printf x | sha256sum | cut -d ' ' -f 1)" >flashed.jsonl
	"$PIBUILD" plan >out 2>err
	grep -qE '^  cp-1 +none +other$' out
	grep -qE '^  cp-1 .* S M  other than cluster.yaml: flash --update$' out
	grep -qx 'flash --update writes cp-1' out
}
