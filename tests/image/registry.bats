#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Generic images in container registries: Debian's docker-registry with TLS and a login, judged by skopeo, and a stand-in
# that keeps referrers and gives every wrong answer there is.
# shellcheck disable=SC2154 # variables of the libraries

load ../lib/image
load ../lib/registry

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	"$PIBUILD" -q sign --new-key key
	"$PIBUILD" -q sign --new-key other
	build --generic --compress zst --sign key >/dev/null
	build -o node --node cp-1 >/dev/null
	build -o raw --generic --role worker >/dev/null
	start_registry open
	start_closed_registry closed
	start_odd_registry
	# What each odd repository needs is in it.
	address_of odd
	"$PIBUILD" --progress none push "$registry/ok/lab:v1" --ca "$registry_ca" >pushed
}

teardown_file() {
	stop_registries
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	files=$BATS_FILE_TMPDIR/out
	raw=$BATS_FILE_TMPDIR/raw/worker.img
	one=$BATS_FILE_TMPDIR/out/worker.img.zst
	certs=$BATS_TEST_TMPDIR/certs
	unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR DOCKER_CONFIG
	export HOME=$BATS_TEST_TMPDIR/home XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/home/.config
	mkdir -p "$HOME" "$certs"
	address_of open
	open=$registry
	address_of closed
	closed=$registry
	address_of odd
	odd=$registry
	cp "$registry_ca" "$certs/ca.crt"
}

push() { "$PIBUILD" --progress none push --ca "$registry_ca" -o "$files" "$@"; }
pull() { "$PIBUILD" --progress none pull --ca "$registry_ca" --cache cache -o in "$@"; }

# same FOLDER: all that was pushed, byte by byte, and nothing beside it.
same() {
	local f
	[ "$(ls -A "$1")" = "$(ls "$files")" ]
	for f in "$files"/*; do cmp "$f" "$1/${f##*/}" || return 1; done
}

# nothing_there: no file under a final name, and none that is half.
nothing_there() {
	[ ! -e in ] || [ -z "$(ls -A in)" ] || { ls -AR in; return 1; }
}

# ---- what is well ----

@test "pushed, read by skopeo, pulled: the same bytes, which verify and the signature's key accept" {
	push "$open/well/lab:v1" >said
	[[ "$(cat said)" =~ ^$open/well/lab@sha256:[0-9a-f]{64}$ ]]
	skopeo inspect --raw --cert-dir "$certs" "docker://$open/well/lab:v1" >manifest
	[ "$(sed 's/.*@sha256://' said)" = "$(sha256sum <manifest | cut -d' ' -f1)" ]
	jq -e '.artifactType == "application/vnd.pibuild.images.v1" and .config.mediaType == "application/vnd.oci.empty.v1+json"
		and .mediaType == "application/vnd.oci.image.manifest.v1+json" and (.layers | length) == 12' manifest
	jq -r '.layers[] | .digest[7:] + "  " + .annotations["org.opencontainers.image.title"]' manifest >sums
	(cd "$files" && sha256sum --quiet --strict -c "$BATS_TEST_TMPDIR/sums")
	pull "$open/well/lab:v1" --key "$BATS_FILE_TMPDIR/key.pub" >said
	[ "$(cat said)" = "$(printf 'in/%s.img.zst\n' control-plane worker)" ]
	same in
	"$PIBUILD" verify in/worker.img.zst --key "$BATS_FILE_TMPDIR/key.pub"
	openssl pkeyutl -verify -pubin -inkey "$BATS_FILE_TMPDIR/key.pub" -rawin -in in/worker.img.zst.sha256 -sigfile in/worker.img.zst.sha256.sig
	[ "$(stat -c %a in/worker.img.zst in/worker.bmap | sort -u)" = 644 ]
}

@test "what is there is not sent again, and the same images make the same artefact" {
	push "$open/again/lab:v1" >first
	push --json "$open/again/lab:v2" >second
	jq -e '.sent == 0 and .bytes == 0 and .files == 15 and .signed' second
	[ "$(jq -r .digest second)" = "$(sed 's/.*@//' first)" ]
	# One image and then both: only what is new.
	push "$open/more/lab:v1" "$files/worker.img.zst" >/dev/null
	push --json "$open/more/lab:v1" | jq -e '.sent == 7'
}

@test "skopeo copies the artefact into a registry with a login, and pull fetches it from there by the same digest" {
	push "$open/copied/lab:v1" >said
	digest=$(sed 's/.*@//' said)
	log_in auth.json "$closed"
	for tag in v1 "${digest/:/-}"; do
		skopeo copy -q --all --authfile auth.json --src-cert-dir "$certs" --dest-cert-dir "$certs" \
			"docker://$open/copied/lab:$tag" "docker://$closed/mine/lab:$tag"
	done
	skopeo inspect --raw --authfile auth.json --cert-dir "$certs" "docker://$closed/mine/lab:v1" >copy
	[ "sha256:$(sha256sum <copy | cut -d' ' -f1)" = "$digest" ]
	REGISTRY_AUTH_FILE=auth.json pull "$closed/mine/lab@$digest" --key "$BATS_FILE_TMPDIR/key.pub" >/dev/null
	same in
}

@test "a registry with a login: none, a wrong one, the right one, which is nowhere to be seen" {
	fails 1 "it answers HTTP 401 (it wants a login); log in with \`skopeo login $closed\`" push "$closed/lab:v1" "$one"
	fails 1 "it wants a login" pull "$closed/lab:v1"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$closed" "$(printf reader:Wrong | base64)" >wrong.json
	REGISTRY_AUTH_FILE=wrong.json fails 1 "it does not take the login that wrong.json has for it" push "$closed/lab:v1" "$one"
	mkdir -p "$HOME/.docker" && log_in "$HOME/.docker/config.json" "$closed"
	strace -f -qq -s 300 -e trace=execve -o calls "$PIBUILD" -v --progress none push --ca "$registry_ca" -o "$files" "$closed/lab:v1" >said 2>&1
	pull -v "$closed/lab:v1" >>said 2>&1
	same in
	word=$(jq -r '.auths[].auth' "$HOME/.docker/config.json")
	refute grep -qe "$registry_word" -e "$word" said calls
	refute grep -rqe "$registry_word" -e "$word" in cache
	printf '{"credsStore": "desktop"}' >"$HOME/.docker/config.json"
	fails 1 "leaves logins to a helper program, which is not asked" push "$closed/lab:v1" "$one"
	echo nonsense >"$HOME/.docker/config.json"
	fails 3 "is no file of logins to registries" push "$closed/lab:v1" "$one"
}

@test "a token is asked for with the login, for what is to be done" {
	fails 1 "no token from $odd: it answers HTTP 401" push "$odd/token/lab:v1" "$one"
	log_in_by_hand "$odd"
	push "$odd/token/lab:v1" >/dev/null
	pull "$odd/token/lab:v1" --key "$BATS_FILE_TMPDIR/key.pub" >/dev/null
	same in
	grep -q 'GET /token?service=stand-in&scope=repository%3Atoken%2Flab%3Apull%2Cpush 200 Authorization' "$registries/odd/log"
	fails 1 "$odd: it answers HTTP 401" push "$odd/loop/lab:v1" "$one"
	[[ "$output" == *"the login is that of"* ]]
	fails 1 "$odd: it answers HTTP 401" pull "$odd/loop/lab:v1"
}

# log_in_by_hand REGISTRY: skopeo would try it first.
log_in_by_hand() {
	mkdir -p "$XDG_CONFIG_HOME/containers"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$1" "$(printf %s "$registry_user:$registry_word" | base64)" >"$XDG_CONFIG_HOME/containers/auth.json"
}

@test "the signature refers to the images: by the registry's own list, else by a tag" {
	pull "$odd/ok/lab:v1" >/dev/null
	refute grep -q '/ok/lab/manifests/sha256-' "$registries/odd/log"
	push "$odd/site/lab:v1" "$one" >/dev/null
	pull "$odd/site/lab:v1" --key "$BATS_FILE_TMPDIR/key.pub" >/dev/null
	grep -q 'GET /v2/site/lab/manifests/sha256-.* 200' "$registries/odd/log"
	push "$open/tagged/lab:v1" >said
	tag=$(sed 's/.*@//; s/:/-/' said)
	skopeo inspect --raw --cert-dir "$certs" "docker://$open/tagged/lab:$tag" >index
	jq -e '.manifests | length == 1 and .[0].artifactType == "application/vnd.pibuild.signature.v1"' index
	signature=$(jq -r '.manifests[0].digest' index)
	skopeo inspect --raw --cert-dir "$certs" "docker://$open/tagged/lab@$signature" | jq -e --arg d "$(sed 's/.*@//' said)" '.subject.digest == $d'
}

@test "a second signature is one more; a key takes its own, and none that is not there" {
	cp -r "$files" signed
	"$PIBUILD" -q --progress none sign --key "$BATS_FILE_TMPDIR/other" signed/*.img.zst >/dev/null
	files=$BATS_TEST_TMPDIR/signed
	for place in "$open/both/lab" "$odd/both/lab"; do
		push "$place:v1" -o "$BATS_FILE_TMPDIR/out" >/dev/null
		push "$place:v1" >/dev/null
		for key in key other; do
			rm -rf in
			pull "$place:v1" --key "$BATS_FILE_TMPDIR/$key.pub" >/dev/null
			"$PIBUILD" -q verify in/worker.img.zst --key "$BATS_FILE_TMPDIR/$key.pub" >/dev/null
		done
		rm -rf in
		"$PIBUILD" -q sign --new-key "third-${place%%:*}${place##*/}" 2>/dev/null || true
		fails 4 "it was not made by this key" pull "$place:v1" --key "third-${place%%:*}${place##*/}.pub"
		nothing_there
	done
	rm signed/*.sig
	push "$open/unsigned/lab:v1" >/dev/null 2>said
	grep -q 'there is no signature' said
	fails 4 "there is no signature" pull "$open/unsigned/lab:v1" --key "$BATS_FILE_TMPDIR/key.pub"
	nothing_there
	pull "$open/unsigned/lab:v1" >/dev/null
	[ ! -e in/worker.img.zst.sha256.sig ]
}

@test "pull takes the place of images of an earlier one, and of what spoke of them" {
	mkdir in && touch in/worker.img in/worker.img.sha256 in/worker.img.xz in/cp-1.img
	pull "$odd/ok/lab:v1" >/dev/null
	[ "$(ls -A in)" = "$( (echo cp-1.img; ls "$files") | sort)" ]
}

@test "a raw image goes too, and an image that was killed in the middle of a pull is pulled by the next" {
	push "$odd/ok/raw:v1" "$raw" >/dev/null
	"$PIBUILD" --progress none pull --ca "$registry_ca" --cache cache -o in "$odd/ok/raw:v1" >/dev/null 2>&1 &
	sleep 0.4
	kill -KILL $! || true
	wait || true
	[ ! -e in/worker.img ] || cmp in/worker.img "$raw"
	pull "$odd/ok/raw:v1" >/dev/null
	cmp in/worker.img "$raw"
	[ ! -e in/.pibuild-pull ]
	[ "$(stat -c %b in/worker.img)" -lt "$(($(stat -c %s in/worker.img) / 512))" ]
}

# ---- what is not pushed ----

@test "an image of a node is refused with the reason, damaged and renamed ones too, before a word to the registry" {
	fails 5 "node/cp-1.img is the image of the node cp-1 and holds its keys, tokens and passwords" push 192.0.2.1/lab:v1 "$BATS_FILE_TMPDIR/node/cp-1.img"
	cp "$BATS_FILE_TMPDIR/node/cp-1.img" worker.img
	fails 5 "is the image of the node cp-1" push 192.0.2.1/lab:v1 worker.img
	cp "$files/worker.img.zst" mine.img.zst
	fails 2 "has to be called worker.img again" push 192.0.2.1/lab:v1 mine.img.zst
	cp "$files"/worker.* . && printf x | dd of=worker.bmap bs=1 seek=900 conv=notrunc status=none
	fails 4 "is not pushed: " push 192.0.2.1/lab:v1 worker.img.zst
	fails 2 "there is no generic image in nowhere: make them with" push 192.0.2.1/lab:v1 -o nowhere
}

@test "what is no place in a registry is a usage error" {
	fails 2 "it begins with a scheme" push https://ghcr.io/me/lab:v1
	fails 2 "is no name of an image" push 192.0.2.1/UPPER:v1
	fails 2 "give NAME:TAG without @sha256" push "192.0.2.1/lab@sha256:$(printf 'a%.0s' {1..64})"
	fails 2 "an argument is missing" push
	fails 2 "too many arguments" pull 192.0.2.1/lab:v1 192.0.2.1/lab:v2
	fails 1 "cannot open the CA nothing.pem" "$PIBUILD" pull 192.0.2.1/lab:v1 --ca nothing.pem
	fails 1 "its certificate is of an unknown CA" "$PIBUILD" --progress none push -o "$files" "$open/lab:v1"
	[[ "$output" == *"--ca FILE"* ]]
}

# ---- wrong answers ----

@test "push tells each wrong answer in words" {
	local case code words
	while read -r case code words; do
		fails "$code" "$words" push "$odd/$case/lab:v1" "$one"
		[[ "$output" == *"$odd/$case/lab:v1 is not pushed: "* ]]
	done <<-'EOT'
		elsewhere 1 it wants the upload at another host, blobs.example.org, which is not followed
		plain 1 only https:// addresses are used; behind a proxy it has to know its own address
		no-place 1 it does not say where the upload goes: no Location in its answer
		redirect 1 it answers HTTP 307 (a redirect, which is not followed with what is sent)
		denied 1 it answers HTTP 403 (forbidden): DENIED the quota of this project is used up?[31m
		damage 1 it answers HTTP 400: DIGEST_INVALID provided digest did not match uploaded content
		wrong-digest 4 it keeps what was sent under another digest
		tiny 1 it answers HTTP 413 (too much at once)
	EOT
}

@test "push tries again what is worth it: busy, cut, too much at once" {
	for case in busy cut-upload absolute; do
		push "$odd/$case/lab:v1" "$one" >/dev/null
		pull "$odd/$case/lab:v1" >/dev/null
		cmp in/worker.img.zst "$one"
	done
	push "$odd/small/lab:v1" "$raw" >/dev/null
	[ "$(grep -c 'PATCH /v2/small/' "$registries/odd/log")" -gt 4 ]
	pull "$odd/small/lab:v1" >/dev/null
	cmp in/worker.img "$raw"
}

@test "pull tells each wrong answer in words, and leaves nothing" {
	local case code words
	for case in wrong-blob cut-manifest wrong-manifest stranger; do
		push "$odd/$case/lab:v1" "$one" >/dev/null 2>&1 || true
	done
	while read -r case code words; do
		fails "$code" "$words" pull "$odd/$case/lab:v1"
		nothing_there
	done <<-'EOT'
		missing 1 has no missing/lab:v1
		to-http 1 it redirects to an address that is not https://
		huge 4 its answer has more than 4 MiB
		no-json 4 what its registry sent is no JSON object
		foreign 4 it is none of `pibuild push`: its artifactType is 'application/vnd.example+type'
		traversal 4 a part of it is called '../../worker.bmap', which is no file of a generic image
		twice 4 it has worker.img twice
		lonely 4 it has worker.bmap and no image of that role
		one 4 a part of it is called 'cp-1.img', which is no file of a generic image
		large 4 more than 4 GiB
		wrong-blob 4 its sha256 is
		stranger 4 the signature of
		cut-manifest 1 the connection was cut before the end (5 attempts)
	EOT
	digest=sha256:$(sed -n 's|^PUT /v2/wrong-manifest/lab/manifests/sha256:\([0-9a-f]*\) 201.*|\1|p' "$registries/odd/log" | head -n 1)
	fails 4 "what it sent as $digest has the sha256" pull "$odd/wrong-manifest/lab@$digest"
	nothing_there
}

@test "a download that is cut goes on where it stopped, also in the next run" {
	push "$odd/cut-blob/lab:v1" "$raw" >/dev/null
	pull "$odd/cut-blob/lab:v1" >/dev/null
	cmp in/worker.img "$raw"
	grep -q 'GET /v2/cut-blob/lab/blobs/sha256:[0-9a-f]* 206' "$registries/odd/log"
}

@test "two pulls into one folder do not mix" {
	mkdir -p in/.pibuild-pull
	exec 8<in/.pibuild-pull
	flock 8
	fails 1 "another pibuild pulls into in" pull "$odd/ok/lab:v1"
	exec 8>&-
	pull "$odd/ok/lab:v1" >/dev/null
	same in
}
